"""`strnet evaluate --counts` and `--paper`: what follows from printed counts alone."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

import typer

from strnet_core.cli.console import OUT, table

if TYPE_CHECKING:
    from strnet_core.evaluation.bootstrap import Resampling
    from strnet_core.evaluation.published import CountedReport


def print_counts(text: str, totals: str | None, resampling: Resampling, *, as_json: bool) -> None:
    """Rates and intervals of TP,FN,TN,FP. Raises CountsError where they do not sum to the totals P,N."""
    from strnet_core.evaluation.confusion import Confusion
    from strnet_core.evaluation.document import plain
    from strnet_core.evaluation.published import counted

    tp, fn, tn, fp = _whole_numbers(text, 4, "--counts")
    counts = Confusion(true_positives=tp, false_negatives=fn, true_negatives=tn, false_positives=fp)
    if totals is not None:
        positives, negatives = _whole_numbers(totals, 2, "--totals")
        counts.check_totals(positives=positives, negatives=negatives)
    report = counted(counts, resampling=resampling)
    if as_json:
        sys.stdout.write(json.dumps(plain(report), allow_nan=False) + "\n")
    else:
        _print(report)


def print_published(resampling: Resampling, *, as_json: bool) -> None:
    """Every table of counts in the paper with what it contradicts."""
    from strnet_core.evaluation.document import plain
    from strnet_core.evaluation.published import PUBLISHED, recompute, severity_findings

    tables = [recompute(each, resampling) for each in PUBLISHED]
    severity = severity_findings()
    if as_json:
        sys.stdout.write(json.dumps({"tables": plain(tables), "severity": list(severity)}, allow_nan=False) + "\n")
        return
    for each in tables:
        OUT.print(f"\n{each.table.name}", style="bold", markup=False)
        _print(each.report)
        for wrong in each.disagreements:
            OUT.print(f"contradicts: {wrong}", style="yellow", markup=False, highlight=False)
    OUT.print("\nseverity, Table 5", style="bold", markup=False)
    for finding in severity:
        OUT.print(finding, style="yellow", markup=False, highlight=False)


def _print(report: CountedReport) -> None:
    from strnet_core.evaluation.report import figure, rate_name

    cells = report.counts
    OUT.print(
        f"{cells.true_positives}/{cells.positives} with bone loss flagged, {cells.true_negatives}/{cells.negatives} normal not flagged",
        markup=False,
        highlight=False,
    )
    columns = ("rate", "stratified bootstrap", "Wilson", "Clopper-Pearson")
    rows: list[dict[str, str | int | bool | None]] = [
        {
            "rate": rate_name(name),
            "stratified bootstrap": figure(estimate),
            "Wilson": figure(report.wilson[name]) if name in report.wilson else None,
            "Clopper-Pearson": figure(report.clopper_pearson[name]) if name in report.clopper_pearson else None,
        }
        for name, estimate in report.bootstrap.items()
    ]
    OUT.print(table(columns, rows))
    for note in report.notes:
        OUT.print(f"note: {note}", markup=False, highlight=False)


def _whole_numbers(text: str, count: int, option: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != count or not all(re.fullmatch(r"[0-9]{1,9}", part) for part in parts):
        raise typer.BadParameter(f"{count} whole numbers with commas", param_hint=option)
    return tuple(map(int, parts))
