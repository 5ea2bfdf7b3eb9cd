"""`strnet knees`: what radiographs show, before any network looks at them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from strnet_core.cli.console import OUT, PROGRESS, table
from strnet_core.errors import StrnetError

_KNEE_COLUMNS = ("file", "knees", "valley_column", "polarity_suspect", "blank", "error")


def knees(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False)],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list instead of a table.")] = False,
) -> None:
    """Count the knees on radiographs (DICOM, PNG, JPEG), and look for blank films and wrong polarity."""
    rows = [_knees_row(path) for path in track(files, "reading", console=PROGRESS, transient=True, disable=len(files) < 10)]  # noqa: PLR2004
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        OUT.print(table(_KNEE_COLUMNS, rows))
    if any(row["error"] for row in rows):
        raise typer.Exit(1)


def _knees_row(path: Path) -> dict[str, str | int | bool | None]:
    from strnet_core.knees import count_knees, is_blank, polarity_suspect
    from strnet_core.radiograph import read_dicom, read_image

    try:
        radiograph = read_image(path) if path.suffix.lower() in (".png", ".jpg", ".jpeg") else read_dicom(path)
    except StrnetError as error:
        return {**dict.fromkeys(_KNEE_COLUMNS), "file": path.name, "error": error.code}
    count = count_knees(radiograph)
    return {
        "file": path.name,
        "knees": count.knees,
        "valley_column": count.valley_column,
        "polarity_suspect": polarity_suspect(radiograph),
        "blank": is_blank(radiograph),
        "error": None,
    }
