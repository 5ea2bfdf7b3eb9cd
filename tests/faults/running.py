"""Runs one fault within its time and undoes all of it."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from tests.faults.fault import Fault, Observation, Point
from tests.faults.images import MARK
from tests.faults.needs import missing
from tests.faults.workplace import Workplace


class TookTooLongError(Exception):
    """The fault's time is over."""


def observe(fault: Fault, bundle: Path) -> Observation:
    """Never raises for what the fault did: an error of the scenario is an observation too."""
    absent = missing(fault.needs)
    if absent:
        return Observation(fault, (), f"not run: {', '.join(absent)} missing")
    points: list[Point] = []
    trouble = ""
    try:
        with tempfile.TemporaryDirectory(prefix="strnet-fault-") as folder, ExitStack() as stack, _limited(fault.seconds):
            # one by one: what was seen before an error stays seen
            for point in fault.scenario(Workplace(Path(folder), bundle, stack)):
                points.append(point)  # noqa: PERF402
            points += _marked_logs(Path(folder))
    except TookTooLongError:
        trouble = f"not over after {fault.seconds:g} s"
    except Exception as error:
        trouble = f"{type(error).__name__}: {error}"
    return Observation(fault, tuple(points), trouble)


def _marked_logs(folder: Path) -> Iterator[Point]:
    """No fault may bring a patient's attributes into a log."""
    for log in folder.glob("*.log"):
        if MARK.encode() in log.read_bytes():
            yield Point("patient data in the log", True, False)


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    def over(_signal: int, _frame: FrameType | None) -> None:
        raise TookTooLongError

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
