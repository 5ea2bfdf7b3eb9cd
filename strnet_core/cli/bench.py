"""`strnet bench`: how long the network takes."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from strnet_core.cli.console import OUT, PROGRESS, device_named, remedy_instead_of_traceback

_MILLISECONDS = 1000.0


def bench(
    folder: Annotated[Path | None, typer.Argument(file_okay=False, help="A bundle; without one, fresh random weights.")] = None,
    runs: Annotated[int, typer.Option(min=1)] = 10,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1)] = None,
) -> None:
    """Milliseconds per 512 x 512 image: the forward pass, the same with saliency, and the whole engine. The last line is JSON."""
    from strnet_core.engines.benchmark import Bench

    with remedy_instead_of_traceback():
        subject = Bench.open(folder, device_named(device), threads)
    passes: dict[str, Callable[[], object]] = {
        "forward": subject.forward,
        "with_saliency": subject.with_saliency,
        "saliency_ms": subject.saliency_only,
        "engine": subject.predict,
    }
    times = _median_ms(passes, runs, subject.synchronize)
    for name, value in times.items():
        OUT.print(f"{name:>16}: {value:8.2f} ms", markup=False)
    sys.stdout.write(json.dumps({"profile": subject.profile, "threads": subject.threads, "runs": runs, **times}) + "\n")


def _median_ms(passes: dict[str, Callable[[], object]], runs: int, synchronize: Callable[[], None]) -> dict[str, float]:
    """Median of each pass. They take turns, so that whatever else the machine does falls on all of them alike."""
    samples: dict[str, list[float]] = {name: [] for name in passes}
    for number in track(range(runs + 1), "running", console=PROGRESS, transient=True):
        for name, run in passes.items():
            start = time.perf_counter()
            run()
            synchronize()
            if number > 0:  # the first turn warms up
                samples[name].append((time.perf_counter() - start) * _MILLISECONDS)
    return {name: statistics.median(values) for name, values in samples.items()}
