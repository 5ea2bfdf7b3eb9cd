"""`strnet knees`: what radiographs show, before any network looks at them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import track

from strnet_core.cli.console import OUT, PROGRESS, table
from strnet_core.errors import StrnetError

if TYPE_CHECKING:
    from strnet_core.radiograph import Radiograph
    from strnet_core.survey import Survey

_COLUMNS = ("file", "knee", "side", "box", "not_a_knee", "flags", "error")
_IMAGES = (".png", ".jpg", ".jpeg")
_MANY = 10

Sides = tuple[frozenset[str], str]


def knees(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="Radiographs: DICOM, PNG, JPEG.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list with every measure instead of a table.")] = False,
) -> None:
    """Find the knees on radiographs (DICOM, PNG, JPEG): where, which side, whether they look like knees, what speaks against them.

    Flags are raised at the default thresholds; those in capitals refuse an assessment, the others warn.
    """
    found = [_survey_of(path) for path in track(files, "reading", console=PROGRESS, transient=True, disable=len(files) < _MANY)]
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        OUT.print(table(_COLUMNS, [row for file in found for row in _rows(file)]))
    if any(file["error"] for file in found):
        raise typer.Exit(1)


def _survey_of(path: Path) -> dict[str, Any]:
    from strnet_core.bundle.settings import PreprocessingSettings
    from strnet_core.survey import survey

    try:
        radiograph, sides = _read(path)
        return {"file": path.name, "error": None, **_described(survey(radiograph, PreprocessingSettings()), sides)}
    except StrnetError as error:
        return {"file": path.name, "error": error.code, "knees": None}


def _read(path: Path) -> tuple[Radiograph, Sides]:
    """PNG and JPEG know no sides."""
    from strnet_core.radiograph import read_dicom, read_image

    if path.suffix.lower() in _IMAGES:
        return read_image(path), (frozenset(), "")
    radiograph = read_dicom(path)
    return radiograph, _sides_in(path)


def _sides_in(path: Path) -> Sides:
    from pydicom import dcmread

    from strnet_core.errors import DecodeError
    from strnet_core.knees import header_sides

    try:
        return header_sides(dcmread(path, stop_before_pixels=True))
    except Exception as error:
        # pydicom reads values lazily and raises whatever a malformed one makes it raise; its text may quote the value
        raise DecodeError(type(error).__name__) from error


def _described(seen: Survey, named: Sides) -> dict[str, Any]:
    from strnet_core.knees import sides_of_knees
    from strnet_core.quality import raised

    sides = sides_of_knees(*named, len(seen.knees))
    return {
        "knees": len(seen.knees),
        "valley_column": seen.valley_column,
        "flags": list(raised(seen.measures)),
        "measures": _rounded(seen.measures),
        "found": [
            {
                "position": knee.position,
                "side": side,
                "side_known_by": source,
                "box": {"left": knee.left, "top": knee.top, "right": knee.right, "bottom": knee.bottom},
                "flags": list(raised(knee.measures)),
                "measures": _rounded(knee.measures),
                "image_sha256": knee.sha256,
            }
            for knee, (side, source) in zip(seen.knees, sides, strict=True)
        ],
    }


def _rounded(measures: Any) -> dict[str, float]:
    return {code: round(value, 4) for code, value in measures.items()}


def _rows(file: dict[str, Any]) -> list[dict[str, str | int | bool | None]]:
    """One row per knee; a file that could not be read has one."""
    if file["error"]:
        return [{**dict.fromkeys(_COLUMNS), "file": file["file"], "error": file["error"]}]
    return [
        {
            "file": file["file"],
            "knee": f"{knee['position']} of {file['knees']}",
            "side": f"{knee['side']} ({knee['side_known_by']})",
            "box": "{left},{top}..{right},{bottom}".format(**knee["box"]),
            "not_a_knee": f"{knee['measures']['not_a_knee']:.2f}",
            "flags": _told([*file["flags"], *knee["flags"]]),
            "error": None,
        }
        for knee in file["found"]
    ]


def _told(codes: list[str]) -> str:
    from strnet_core.quality import DEFAULT_FLAGS

    return ", ".join(code.upper() if DEFAULT_FLAGS[code].action == "refuse" else code for code in codes)
