"""`strnet-gateway demo`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gateway.cli.options import print_table

if TYPE_CHECKING:
    from gateway.demo.run import DemoReport


def demo(
    folder: Annotated[Path, typer.Option(help="Where the demonstration keeps its files.")] = Path("out/demo"),
    source: Annotated[
        Path | None, typer.Option("--input", help="A folder of your own DICOM files, instead of phantoms.", exists=True)
    ] = None,
) -> None:
    """Run the main job on this machine: an embedded PACS, the gateway, and synthetic knee studies sent to it."""
    from gateway.demo.run import run_demo
    from gateway.inference.analyzer import open_bundle

    started = time.monotonic()
    console = Console()
    console.print("[bold]Research software, demonstration weights: nothing here says anything about a patient.[/bold]")
    columns = (TextColumn("jobs"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("jobs", total=None)
        report = run_demo(folder, source, console.print, lambda done, total: progress.update(task, completed=done, total=total))
    _print(report, folder)
    model = open_bundle(folder / "bundle").model
    print(f"model: {model.name}, {model.parameters:,} parameters, weights {model.weights_sha256[:12]}, intended use {model.intended_use}")
    print(f"took {time.monotonic() - started:.0f} s")
    unfinished = [row for row in report.rows if row.outcome == "open"]
    sys.exit(1 if unfinished or any(not ledger.closed for ledger in report.status.ledgers) else 0)


def _print(report: DemoReport, folder: Path) -> None:
    print_table(
        "What came in, what was decided, what went back",
        ("study", "sent", "answer", "outcome", "because", "study's results", "seconds"),
        [(row.study, row.sent, row.answer, row.outcome, row.because, row.returned, row.seconds) for row in report.rows],
        whole=("study", "answer", "outcome", "study's results"),
    )
    print("where to look:")
    for path in report.rendered:
        print(f"  {path}")
    print(f"  audit store: {report.database}   ({Path(sys.argv[0])} status --config {folder / 'config.toml'})")
    print(f"  log: {report.log}")
