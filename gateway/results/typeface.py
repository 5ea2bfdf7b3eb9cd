"""The font of the pages: a subset of Noto Sans SC that holds the catalogue's characters in every language (gateway/results/fonts)."""

from __future__ import annotations

import string
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Final

from PIL import ImageFont

from gateway.results.texts import CATALOGUES, sentences

FILE: Final = files("gateway.results.fonts") / "results.ttf"

_PRINTABLE: Final = frozenset(string.digits + string.ascii_letters + string.punctuation + " ")
_LATIN_1: Final = frozenset(chr(code) for code in range(0xA0, 0x100)) - {"\xad"}
"""For names and evidence of a bundle; without the soft hyphen."""
_UNITS_AND_MARKS: Final = frozenset("–—‘’“”…•×÷±°²³µ、。，：；？！（）《》「」【】·～")
_REPLACEMENT: Final = "?"


@cache
def drawable() -> frozenset[str]:
    """Every character that the font has: ASCII, Latin-1, common marks, and whatever a catalogue uses."""
    used = frozenset(character for texts in CATALOGUES.values() for _, sentence in sentences(texts) for character in sentence)
    return _PRINTABLE | _LATIN_1 | _UNITS_AND_MARKS | used


def can_draw(text: str) -> bool:
    return drawable().issuperset(text)


def drawn(text: str) -> str:
    """`text` with "?" where the font has no glyph: a bundle's or header's own words may be in any script."""
    return text if can_draw(text) else "".join(character if character in drawable() else _REPLACEMENT for character in text)


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """size: pixels per em. Basic layout: places do not depend on whether a shaping library is installed."""
    return ImageFont.truetype(BytesIO(FILE.read_bytes()), size, layout_engine=ImageFont.Layout.BASIC)
