"""What an epoch came to, as a row: for the table, the plot and the checkpoint."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from strnet_core.errors import ResearchExtraMissingError


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRow:
    """Losses are means over the epoch's batches without their lambdas; validation values are None where nothing validates."""

    epoch: int
    """From 1."""
    learning_rate: float
    loss: float
    screening: float
    severity: float
    t_score: float
    false_positive: float
    gradient_norm: float
    """Mean before clipping."""
    validation_loss: float | None
    """Of screening alone."""
    validation_auprc: float | None
    validation_auroc: float | None
    seconds: float
    """Of training, without interruptions."""
    is_best: bool


HISTORY = "history.csv"
PLOT = "history.png"


def history_csv(rows: Sequence[EpochRow]) -> str:
    """A header and one line per epoch; floats in full."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [item.name for item in fields(EpochRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in asdict(row).items()} for row in rows)
    return stream.getvalue()


def _cell(value: float | None) -> str:
    return "" if value is None else str(int(value)) if isinstance(value, bool) else repr(value)


def plot_history(rows: Sequence[EpochRow], path: Path) -> None:
    """Losses, validation curves and learning rate over epochs, as PNG. Raises ResearchExtraMissingError without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ResearchExtraMissingError("matplotlib") from error
    epochs = [row.epoch for row in rows]
    figure = Figure(figsize=(12.0, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3)
    for name in ("screening", "severity", "t_score", "false_positive"):
        left.plot(epochs, [getattr(row, name) for row in rows], label=name)
    left.plot(
        epochs, [float("nan") if row.validation_loss is None else row.validation_loss for row in rows], "--", label="validation screening"
    )
    for name in ("validation_auprc", "validation_auroc"):
        values = [getattr(row, name) for row in rows]
        middle.plot(epochs, [float("nan") if value is None else value for value in values], label=name.removeprefix("validation_").upper())
    for row in [each for each in rows if each.is_best][-1:]:
        middle.axvline(row.epoch, color="grey", linestyle=":", label="kept")
    right.plot(epochs, [row.learning_rate for row in rows], label="learning rate")
    for axes, title in ((left, "losses without lambdas"), (middle, "validation"), (right, "learning rate")):
        axes.set(title=title, xlabel="epoch")
        axes.legend(fontsize="small")
    figure.savefig(path, dpi=110)
