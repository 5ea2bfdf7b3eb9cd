"""What every command of `strnet` shares: where it prints, and how an error is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from strnet_core.errors import StrnetError

OUT = Console(soft_wrap=True)
if not OUT.is_terminal:
    # a table that goes to a file or a pipe is not folded for a screen that is not there
    OUT.width = max(OUT.width, 200)
PROGRESS = Console(stderr=True, soft_wrap=True)

Folder = Annotated[Path, typer.Argument(file_okay=False, help="Where to write: a new or empty folder.")]
BundleFolder = Annotated[Path, typer.Argument(file_okay=False, help="The bundle's folder.")]


@contextmanager
def remedy_instead_of_traceback() -> Iterator[None]:
    """A StrnetError ends the command with exit code 1 and its own text."""
    try:
        yield
    except StrnetError as error:
        PROGRESS.print(f"{error.code}: {error}", style="red", markup=False)
        raise typer.Exit(1) from error


def table(columns: tuple[str, ...], rows: list[dict[str, str | int | bool | None]]) -> Table:
    """Rows of values by column name; None is an empty cell."""
    drawn = Table(*columns)
    for row in rows:
        drawn.add_row(*("" if row[column] is None else str(row[column]) for column in columns))
    return drawn


def device_named(name: str) -> Literal["auto", "cpu", "cuda"]:
    """Raises BadParameter for anything else."""
    if name == "cpu":
        return "cpu"
    if name == "cuda":
        return "cuda"
    if name == "auto":
        return "auto"
    raise typer.BadParameter("auto, cpu or cuda", param_hint="--device")
