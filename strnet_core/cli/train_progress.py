"""What `strnet train` shows while it trains, and when it asks to stop: the time is up, or SIGINT or SIGTERM came."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any, Self

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from strnet_core.cli.console import PROGRESS

if TYPE_CHECKING:
    from strnet_core.training.history import EpochRow

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class ConsoleWatch:
    """A bar on a terminal, and one line per epoch anywhere."""

    def __init__(self, minutes: float | None) -> None:
        self._ends = None if minutes is None else time.monotonic() + 60.0 * minutes
        self._asked = False
        self._former: dict[int, Any] = {}
        self._bar = Progress(TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=PROGRESS, transient=True)
        self._task = self._bar.add_task("reading", total=None)

    def __enter__(self) -> Self:
        self._former = {number: signal.signal(number, self._ask) for number in _SIGNALS}
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def stop(self) -> bool:
        """Whether to write the state and end."""
        return self._asked or (self._ends is not None and time.monotonic() >= self._ends)

    def prepared(self, done: int, total: int) -> None:
        """So many films are read."""
        self._bar.update(self._task, description="reading films", completed=done, total=total)

    def patients_unknown(self, knees: int, of: int) -> None:
        """A warning before the first epoch."""
        PROGRESS.print(
            f"the patient of {knees} of {of} knees is unknown: splits keep only their films and duplicates together, "
            "and figures may be too good",
            style="yellow",
            markup=False,
            highlight=False,
        )

    def stepped(self, fold: int, epoch: int, step: int, steps: int) -> None:
        """A batch is done."""
        self._bar.update(self._task, description=f"fold {fold}, epoch {epoch}", completed=step, total=steps)

    def epoch_done(self, fold: int, row: EpochRow) -> None:
        """One line, the best so far with a star."""
        validated = ""
        if row.validation_auprc is not None and row.validation_auroc is not None:
            validated = f", validation AUPRC {row.validation_auprc:.4f} AUROC {row.validation_auroc:.4f}{' *' if row.is_best else ''}"
        PROGRESS.print(f"fold {fold} epoch {row.epoch}: loss {row.loss:.4f}{validated}, {row.seconds:.1f} s", markup=False, highlight=False)

    def _ask(self, number: int, _frame: object) -> None:
        if self._asked:
            # the second time is meant at once: the last written state stands
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._asked = True
