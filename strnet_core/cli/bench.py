"""`strnet bench`: how long the network takes, what its saliency costs, and how far that is from what the machine can do."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import track

from strnet_core.cli.console import OUT, PROGRESS, device_named, remedy_instead_of_traceback, table

if TYPE_CHECKING:
    from strnet_core.bundle import ModelBundle
    from strnet_core.engines.measured import Measured

_PARTS = ("engines", "limits", "saliency", "gradcam", "decode", "memory")
_CUDA_BATCHES = (1, 8, 32, 64)


def bench(
    folder: Annotated[Path | None, typer.Argument(file_okay=False, help="A bundle; without one, the demonstration's weights.")] = None,
    runs: Annotated[int, typer.Option(min=1, help="Rounds of everything; a first one warms up.")] = 10,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda; cpu leaves a card out, cuda asks for one")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Of the processor; without it each engine's own choice.")] = None,
    batch: Annotated[list[int] | None, typer.Option(min=1, help="Images at once; repeatable. 1 and 8, on a card also 32 and 64.")] = None,
    part: Annotated[list[str] | None, typer.Option(help=f"Measure only this; repeatable: {', '.join(_PARTS)}.")] = None,
) -> None:
    """Measure everything side by side, in turn, and print medians with the best of all rounds. The last line is JSON."""
    chosen = device_named(device)
    parts = frozenset(part or _PARTS)
    if parts - set(_PARTS):
        raise typer.BadParameter(f"one of {', '.join(_PARTS)}", param_hint="--part")
    from strnet_core.engines.measuring import Measuring
    from strnet_core.engines.torch_engine import choose_device

    with remedy_instead_of_traceback(), ExitStack() as stack:
        card = chosen != "cpu" and choose_device(chosen).type == "cuda"
        bundle = _bundle(folder, stack)
        with PROGRESS.status("opening the engines"):
            measuring = Measuring(bundle, parts, tuple(batch or ((1, 8) if not card else _CUDA_BATCHES)), threads, card=card)
            stack.enter_context(measuring)
        measured = measuring.run(track(range(runs + 1), "measuring in turn", console=PROGRESS, transient=True))
        with PROGRESS.status("starting fresh workers"):
            memory = measuring.memory()
    _print(measured, memory)
    sys.stdout.write(json.dumps({**measured.document(), **memory, "runs": runs, "threads": measuring.threads}) + "\n")


def _bundle(folder: Path | None, stack: ExitStack) -> ModelBundle:
    from strnet_core.bundle import load_bundle

    if folder is not None:
        return load_bundle(folder)
    from strnet_core.engines.demonstration import create_demonstration_bundle

    made = Path(stack.enter_context(TemporaryDirectory()))
    with PROGRESS.status("making random weights"):
        return create_demonstration_bundle(made)


def _print(measured: Measured, memory: dict[str, dict[str, float]]) -> None:
    columns = ("what", "median ms", "best ms", "best GFLOP/s", "images/s")
    OUT.print(table(columns, [dict(zip(columns, line, strict=True)) for line in measured.lines()]))
    for text in measured.remarks():
        OUT.print(text, markup=False)
    for profile, resident in memory["worker_rss_mb"].items():
        peak, start = memory["worker_peak_mb"][profile], memory["worker_start_s"][profile]
        OUT.print(f"a fresh worker with {profile}: {resident:.0f} MB resident, {peak:.0f} MB at most, up in {start:.1f} s", markup=False)
