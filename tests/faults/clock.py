"""Fault 43: the host's clock is set while the gateway runs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.faults.fault import Fault, Point
from tests.faults.images import Image, encode
from tests.faults.knees import outcome, phantom, wait_quiet
from tests.faults.ledger import Ledger
from tests.faults.needs import FAKETIME
from tests.faults.processes import is_stopped
from tests.faults.receiver import Receiver
from tests.faults.senders import send_all
from tests.faults.waiting import wait_for
from tests.faults.workplace import Workplace

_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR
_SUMMER_TIME_ENDS: Final = datetime(2031, 10, 26, 0, 59, 57, tzinfo=UTC)
"""Three seconds before clocks in Berlin go back from three to two."""
_SECONDS_END: Final = datetime(2038, 1, 19, 3, 14, 4, tzinfo=UTC)
"""Three seconds before the seconds since 1970 need more than 31 bits."""


class Clock:
    """Of one gateway's processes, by libfaketime; the clock that nobody sets goes on as it is."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.ahead(0)

    @property
    def command(self) -> tuple[str, ...]:
        return (
            "env",
            f"LD_PRELOAD={FAKETIME}",
            f"FAKETIME_TIMESTAMP_FILE={self._file}",
            "FAKETIME_NO_CACHE=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
            "DONT_FAKE_MONOTONIC=1",
            "TZ=Europe/Berlin",
        )

    def ahead(self, seconds: float) -> None:
        """Of the true time, from now on. Renamed into its place: nobody reads half of it."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+.0f}\n")
        new.rename(self._file)

    def at(self, moment: datetime) -> None:
        self.ahead(moment.timestamp() - time.time())


def clock_is_set(w: Workplace) -> Iterator[Point]:
    clock = Clock(w.folder / "clock")
    arguments = ("tests.faults.odd_gateway", "--odd", "stops in inference", "--role", "receiver", "--role", "worker")
    receiver = w.receiver(sections={"worker": {"settle_seconds": 0.1}}, arguments=arguments, command=clock.command).start()
    receiver.wait_started(role="worker")
    ledger, images = w.ledger(receiver), [encode(phantom(number)) for number in range(1, 6)]
    yield Point("answers", send_all(receiver.port, images[:1], w.log), ["0000"])
    worker = _worker(receiver)
    wait_for(lambda: is_stopped(worker), 60, "the worker did not stop")
    clock.ahead(_DAY)
    os.kill(worker, signal.SIGCONT)
    yield from _done("a day on, with a job in hand", ledger, images[0])
    # what waits was queued by a clock that is a day and an hour ahead of the next one
    os.kill(worker, signal.SIGSTOP)
    yield Point("answers", send_all(receiver.port, images[1:2], w.log), ["0000"])
    clock.ahead(-_HOUR)
    os.kill(worker, signal.SIGCONT)
    yield from _done("back by a day and an hour, with a job that waits", ledger, images[1])
    for name, moment, one in (("the end of summer time", _SUMMER_TIME_ENDS, images[2]), ("2038-01-19", _SECONDS_END, images[3])):
        clock.at(moment)
        yield Point("answers", send_all(receiver.port, [one], w.log), ["0000"])
        yield from _done(f"over {name}", ledger, one)
    clock.ahead(0)
    yield Point("answers", send_all(receiver.port, images[4:], w.log), ["0000"])
    yield from _done("back by years", ledger, images[4])
    yield Point("roles died", len(receiver.events("role:died")), 0)
    yield Point("assessments", ledger.count("assessment"), len(images))
    yield Point("results", ledger.count("result"), 3 * len(images))
    yield Point("failed attempts", ledger.audited("job:retry"), 0)
    yield Point("leases that never end", ledger.count("job", "state = 'running'"), 0)
    yield Point("audit: times run back", _runs_back(ledger), True)
    yield Point("audit: jobs whose events are out of order", _out_of_order(ledger), 0)
    yield from ledger.invariants(w.log.acknowledged)


def _worker(receiver: Receiver) -> int:
    return next(int(line["pid"]) for line in receiver.events("role:started") if line["role"] == "worker")


def _done(name: str, ledger: Ledger, one: Image) -> Iterator[Point]:
    wait_quiet(ledger)
    yield Point(name, outcome(ledger, one), "assessed")


def _runs_back(ledger: Ledger) -> bool:
    """That the clock was set at all."""
    times = [str(at) for (at,) in ledger.ask("SELECT at FROM audit_event ORDER BY seq")]
    return times != sorted(times)


def _out_of_order(ledger: Ledger) -> int:
    """By their numbers, whatever their times say."""
    sql = "SELECT json_extract(detail, '$.job_id'), event FROM audit_event WHERE event LIKE 'job:%' ORDER BY seq"
    jobs: dict[object, list[str]] = {}
    for job, event in ledger.ask(sql):
        jobs.setdefault(job, []).append(str(event))
    return sum(events[0] != "job:queued" or events[-1] != "job:done" or events.count("job:done") != 1 for events in jobs.values())


FAULTS = (
    Fault(
        number=43,
        what="the clock is set: a day on, a day and an hour back, over the end of summer time, over 2038-01-19, years back",
        expected="nothing is done twice, no lease or job stands still, the audit's order is that of what happened",
        how="libfaketime, with a worker that is stopped while the clock is set",
        scenario=clock_is_set,
        needs=("faketime",),
        seconds=500,
    ),
)
