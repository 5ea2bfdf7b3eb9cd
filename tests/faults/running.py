"""Runs one fault within its time and undoes all of it."""

from __future__ import annotations

import signal
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from tests.faults.fault import Fault, Observation, Point
from tests.faults.images import MARK
from tests.faults.needs import missing
from tests.faults.waiting import NeverHappenedError
from tests.faults.workplace import Workplace


class TookTooLongError(Exception):
    """The fault's time is over."""


def observe(fault: Fault, bundle: Path) -> Observation:
    """Never raises for what the fault did: an error of the scenario is an observation too."""
    absent = missing(fault.needs)
    if absent:
        return Observation(fault, (), f"not run: {', '.join(absent)} missing")
    points: list[Point] = []
    trouble = detail = ""
    try:
        with tempfile.TemporaryDirectory(prefix="strnet-fault-") as folder, ExitStack() as stack, _limited(fault.seconds):
            # one by one: what was seen before an error stays seen
            for point in fault.scenario(Workplace(Path(folder), bundle, stack)):
                points.append(point)  # noqa: PERF402
            points += _marked_logs(Path(folder))
    except TookTooLongError:
        trouble = f"not over after {fault.seconds:g} s"
    except NeverHappenedError as error:
        trouble, detail = str(error), error.detail
    except Exception as error:
        # its words may name files of this machine
        trouble, detail = type(error).__name__, traceback.format_exc()
    return Observation(fault, tuple(points), trouble, detail)


def start_trouble(bundle: Path) -> str:
    """Why a gateway that nothing happens to does not start here; empty when it does."""
    with tempfile.TemporaryDirectory(prefix="strnet-fault-") as folder, ExitStack() as stack:
        try:
            Workplace(Path(folder), bundle, stack).receiver().start()
        except NeverHappenedError as error:
            return f"{error}\n{error.detail}"
    return ""


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
