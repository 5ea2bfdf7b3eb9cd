"""`strnet phantom`: synthetic radiographs."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import typer
from rich.progress import track

from strnet_core.cli.console import OUT, PROGRESS, Folder


def phantom(
    folder: Folder,
    count: Annotated[int, typer.Option(min=1, max=10000)] = 6,
    seed: int = 1,
    view: Annotated[str, typer.Option(help="ap, lateral or chest")] = "ap",
    knee_count: Annotated[int, typer.Option("--knees", min=1, max=2)] = 1,
) -> None:
    """Draw synthetic radiographs: 8-bit PNG to look at and 12-bit npy to compute with, R and L in turn, density rising."""
    import cv2

    from strnet_core.phantom import PhantomParameters, draw

    if view not in ("ap", "lateral", "chest") or (knee_count == 2 and view != "ap"):  # noqa: PLR2004
        raise typer.BadParameter("ap, lateral or chest; two knees only in ap", param_hint="--view")
    folder.mkdir(parents=True, exist_ok=True)
    for number in track(range(count), "drawing", console=PROGRESS, transient=True):
        parameters = PhantomParameters(
            view=_view(view),
            side="R" if number % 2 == 0 else "L",
            density=number / max(1, count - 1),
            knees=2 if knee_count == 2 else 1,  # noqa: PLR2004
        )
        stored = draw(parameters, seed + number)
        name = f"phantom_{view}_{knee_count}_{seed + number}"
        np.save(folder / f"{name}.npy", stored)
        cv2.imwrite(str(folder / f"{name}.png"), (stored >> 4).astype(np.uint8))
    OUT.print(f"{folder}: {count} phantoms", markup=False)


def _view(name: str) -> Literal["ap", "lateral", "chest"]:
    return "lateral" if name == "lateral" else "chest" if name == "chest" else "ap"
