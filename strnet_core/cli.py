"""`strnet`: the research side on the command line. Exit codes: 0 good, 1 the thing asked about is bad, 2 wrong use."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from strnet_core.errors import StrnetError

app = typer.Typer(name="strnet", no_args_is_help=True, add_completion=False, help="STR-Net outside of the gateway.")
bundle_app = typer.Typer(no_args_is_help=True, help="Make and verify model bundles.")
app.add_typer(bundle_app, name="bundle")

_out = Console(soft_wrap=True)
_progress = Console(stderr=True, soft_wrap=True)
_DEFAULT_SEED = 20260420
_MILLISECONDS = 1000.0
_KNEE_COLUMNS = ("file", "knees", "valley_column", "polarity_suspect", "blank", "error")

Folder = Annotated[Path, typer.Argument(file_okay=False)]


def main() -> None:
    """Entry point of `strnet`."""
    app()


@contextmanager
def _remedy_instead_of_traceback() -> Iterator[None]:
    try:
        yield
    except StrnetError as error:
        _progress.print(f"{error.code}: {error}", style="red", markup=False)
        raise typer.Exit(1) from error


@bundle_app.command("create-demo")
def bundle_create_demo(folder: Folder, seed: int = _DEFAULT_SEED) -> None:
    """Write the demonstration bundle: RANDOM WEIGHTS, not for clinical use."""
    from strnet_core.engines.demonstration import create_demonstration_bundle

    with _remedy_instead_of_traceback(), _progress.status("importing the network") as status:
        bundle = create_demonstration_bundle(folder, seed, status.update)
    summary = f"{bundle.version}, bundle {bundle.bundle_hash[:12]}, threshold {bundle.screening_threshold}"
    _out.print(f"{folder}: {summary}", markup=False)


@bundle_app.command("verify")
def bundle_verify(folder: Folder, device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto") -> None:
    """Check every hash of a bundle, then its golden vectors on this machine."""
    from strnet_core.bundle import load_bundle
    from strnet_core.engines.torch_engine import open_torch_engine
    from strnet_core.engines.verification import verify_bundle

    with _remedy_instead_of_traceback(), _progress.status("comparing golden vectors"):
        bundle = load_bundle(folder)
        engine = open_torch_engine(bundle, _device(device))
        verified = verify_bundle(bundle, engine)
    _out.print(
        f"good: bundle {bundle.bundle_hash[:12]}, intended use {bundle.intended_use}, {verified.vectors} golden vectors on "
        f"{engine.profile}, largest difference {verified.max_difference:.1e}",
        markup=False,
    )


@app.command()
def knees(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False)],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list instead of a table.")] = False,
) -> None:
    """Count the knees on radiographs (DICOM, PNG, JPEG), and look for blank films and wrong polarity."""
    rows = [_knees_row(path) for path in track(files, "reading", console=_progress, transient=True, disable=len(files) < 10)]  # noqa: PLR2004
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        _out.print(_table(_KNEE_COLUMNS, rows))
    if any(row["error"] for row in rows):
        raise typer.Exit(1)


@app.command()
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
    for number in track(range(count), "drawing", console=_progress, transient=True):
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
    _out.print(f"{folder}: {count} phantoms", markup=False)


@app.command()
def bench(
    folder: Annotated[Path | None, typer.Argument(file_okay=False, help="A bundle; without one, fresh random weights.")] = None,
    runs: Annotated[int, typer.Option(min=1)] = 10,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1)] = None,
) -> None:
    """Milliseconds per 512 x 512 image: the forward pass, the same with saliency, and the whole engine. The last line is JSON."""
    from strnet_core.engines.benchmark import Bench

    with _remedy_instead_of_traceback():
        subject = Bench.open(folder, _device(device), threads)
    passes: dict[str, Callable[[], object]] = {
        "forward": subject.forward,
        "with_saliency": subject.with_saliency,
        "saliency_ms": subject.saliency_only,
        "engine": subject.predict,
    }
    times = _median_ms(passes, runs, subject.synchronize)
    for name, value in times.items():
        _out.print(f"{name:>16}: {value:8.2f} ms", markup=False)
    sys.stdout.write(json.dumps({"profile": subject.profile, "threads": subject.threads, "runs": runs, **times}) + "\n")


def _median_ms(passes: dict[str, Callable[[], object]], runs: int, synchronize: Callable[[], None]) -> dict[str, float]:
    """Median of each pass. They take turns, so that whatever else the machine does falls on all of them alike."""
    samples: dict[str, list[float]] = {name: [] for name in passes}
    for number in track(range(runs + 1), "running", console=_progress, transient=True):
        for name, run in passes.items():
            start = time.perf_counter()
            run()
            synchronize()
            if number > 0:  # the first turn warms up
                samples[name].append((time.perf_counter() - start) * _MILLISECONDS)
    return {name: statistics.median(values) for name, values in samples.items()}


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


def _table(columns: tuple[str, ...], rows: list[dict[str, str | int | bool | None]]) -> Table:
    table = Table(*columns)
    for row in rows:
        table.add_row(*("" if row[column] is None else str(row[column]) for column in columns))
    return table


def _device(name: str) -> Literal["auto", "cpu", "cuda"]:
    if name == "cpu":
        return "cpu"
    if name == "cuda":
        return "cuda"
    if name == "auto":
        return "auto"
    raise typer.BadParameter("auto, cpu or cuda", param_hint="--device")


def _view(name: str) -> Literal["ap", "lateral", "chest"]:
    return "lateral" if name == "lateral" else "chest" if name == "chest" else "ap"


if __name__ == "__main__":
    main()
