"""`strnet phantom`: synthetic radiographs."""

from __future__ import annotations

from typing import Annotated, Literal, cast

import numpy as np
import typer
from rich.progress import Progress, track

from strnet_core.cli.console import OUT, PROGRESS, Folder

Size = Annotated[int, typer.Option(min=256, max=8192, help="of a film, in pixels")]


def phantom(
    folder: Folder,
    count: Annotated[int, typer.Option(min=1, max=100000, help="how many films")] = 6,
    seed: Annotated[int, typer.Option(min=0, help="another one draws other patients")] = 1,
    file_format: Annotated[str, typer.Option("--format", help="dx (12 bits) or png (8 bits)")] = "dx",
    knees: Annotated[str, typer.Option(help="on a film: one, two or mixed")] = "one",
    implants: Annotated[float, typer.Option(min=0.0, max=1.0, help="share of films with metal")] = 0.0,
    rows: Size = 1400,
    columns: Size = 1100,
    spacing_mm: Annotated[float, typer.Option(min=0.05, max=1.0, help="pixel spacing of a film, in mm")] = 0.2,
    schematic: Annotated[str, typer.Option(help="instead: the plain drawings of golden vectors; ap, lateral or chest")] = "",
) -> None:
    """Draw knee films of made-up patients: images/ and labels.csv with their classes, T-scores, covariates and every parameter.

    The same options give the same files. With --schematic: 8-bit PNG and 12-bit npy, R and L in turn, density rising.
    """
    if schematic:
        _draw_schematic(folder, count, seed, schematic)
        return
    from strnet_core.phantom.cohort import CohortParameters
    from strnet_core.phantom.folder import FileFormat, write_cohort

    if file_format not in ("dx", "png"):
        raise typer.BadParameter("dx or png", param_hint="--format")
    if knees not in ("one", "two", "mixed"):
        raise typer.BadParameter("one, two or mixed", param_hint="--knees")
    cohort = CohortParameters(
        count=count,
        seed=seed,
        knees=cast("Literal['one', 'two', 'mixed']", knees),
        implants=implants,
        rows=rows,
        columns=columns,
        pixel_spacing_mm=spacing_mm,
    )
    with Progress(console=PROGRESS, transient=True) as shown:
        task = shown.add_task("drawing", total=count)
        try:
            labels = write_cohort(folder, cohort, cast("FileFormat", file_format), lambda _case: shown.advance(task))
        except OSError as error:
            PROGRESS.print(f"{folder}: {error.strerror or error}; give a new folder", style="red", markup=False)
            raise typer.Exit(1) from error
    OUT.print(f"{labels}: {count} phantoms", markup=False)


def _draw_schematic(folder: Folder, count: int, seed: int, view: str) -> None:
    import cv2

    from strnet_core.phantom import PhantomParameters, View, draw

    if view not in ("ap", "lateral", "chest"):
        raise typer.BadParameter("ap, lateral or chest", param_hint="--schematic")
    folder.mkdir(parents=True, exist_ok=True)
    for number in track(range(count), "drawing", console=PROGRESS, transient=True):
        parameters = PhantomParameters(
            view=cast("View", view), side="R" if number % 2 == 0 else "L", density=number / max(1, count - 1), knees=1
        )
        stored = draw(parameters, seed + number)
        name = f"phantom_{view}_{seed + number}"
        np.save(folder / f"{name}.npy", stored)
        cv2.imwrite(str(folder / f"{name}.png"), (stored >> 4).astype(np.uint8))
    OUT.print(f"{folder}: {count} phantoms", markup=False)
