"""Remakes gateway/results/fonts/results.ttf: `python tools/results_font.py SOURCE.woff2` (gateway/results/fonts/README.md)."""

from __future__ import annotations

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

from gateway.results.typeface import FILE, drawable

FAMILY = "Noto Sans SC Subset"
FULL_NAME, POSTSCRIPT_NAME, FAMILY_NAMES = (3, 4), 6, (1, 16)


def main(source: str) -> None:
    font = TTFont(source, recalcTimestamp=False)
    options = subset.Options(
        layout_features=[], hinting=False, notdef_outline=True, name_IDs=["*"], name_languages=["*"], recalc_timestamp=False
    )
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=[ord(character) for character in drawable()])
    subsetter.subset(font)
    missing = [character for character in sorted(drawable()) if ord(character) not in font.getBestCmap()]
    if missing:
        raise SystemExit(f"the source has no glyph for {' '.join(missing)}")
    _rename(font)
    font.flavor = None
    target = Path(str(FILE))
    font.save(target, reorderTables=True)
    print(f"{len(drawable())} characters, {target.stat().st_size} bytes")


def _rename(font: TTFont) -> None:
    """A modified version does not go by the name of the original; copyright and licence stay."""
    for record in font["name"].names:
        if record.nameID in FAMILY_NAMES:
            record.string = FAMILY
        elif record.nameID in FULL_NAME:
            record.string = f"{FAMILY} Regular"
        elif record.nameID == POSTSCRIPT_NAME:
            record.string = f"{FAMILY.replace(' ', '')}-Regular"


if __name__ == "__main__":
    main(sys.argv[1])
