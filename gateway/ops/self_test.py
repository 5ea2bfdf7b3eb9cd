"""The constancy self-test of a worker: when it is due, and whether its worker may take analyses.

Every phantom of the bundle goes the whole way of this worker, one at a time, so that images that wait go in between. A deviation is an
alarm, and the worker takes no more analyses until a self-test passes or an operator accepts it (docs/constancy.md).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from gateway.domain.alarm import AlarmCode
from gateway.domain.identifiers import new_id
from gateway.domain.self_test import SeenPhantom, SelfTestResult
from gateway.errors import DatabaseUnavailableError, GatewayError
from gateway.events import Event, log_event
from gateway.store.alarms import Alarms
from gateway.store.self_tests import SelfTests

START_DELAY_SECONDS: Final = 60.0
"""The engine has just answered the golden vectors: images that wait since before the start come first."""
RETRY_SECONDS: Final = 600.0
"""A worker that stands still looks again so often whether it is well."""
_POSTPONED_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 1.0


class SendsPhantoms(Protocol):
    """The way of phantoms through the worker."""

    def __len__(self) -> int:
        """How many phantoms there are."""
        ...

    def send(self, number: int) -> SeenPhantom:
        """GatewayError where a part of the way failed."""
        ...


@dataclass(slots=True)
class _Run:
    """A self-test that is under way."""

    started_at: datetime
    seen: list[SeenPhantom] = field(default_factory=list)


class SelfTest:
    """One worker's. `tick` comes from a timer; `is_due`, `step` and `is_open` are asked by the lane of analyses between two jobs."""

    def __init__(
        self,
        path: SendsPhantoms,
        results: SelfTests,
        alarms: Alarms,
        *,
        worker: str,
        actor: str,
        bundle_hash: str,
        every_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """worker: the host. every_seconds: 0 = never, but a deviation that stands from before still holds."""
        self._path = path
        self._results = results
        self._alarms = alarms
        self._worker, self._actor, self._bundle_hash = worker, actor, bundle_hash
        self._every = every_seconds
        self._clock, self._now = clock, now
        self._asked = threading.Event()
        self._run: _Run | None = None
        self._stopped_by: str | None = None
        """The id of the self-test that stopped the analyses."""
        self._look_at = 0.0
        self._next_at = self._first_at()

    def _first_at(self) -> float:
        """A worker that stands still tests itself at once; one that has passed lately waits for its time."""
        before = self._results.latest(self._worker, self._bundle_hash)
        stops = before is not None and before.stops_analyses
        # also what a process that was killed between record and alarm left, and what stands for another bundle than this one
        self._alarms.set(AlarmCode.CONSTANCY, self._worker, stands=stops, reason="deviation")
        if before is not None and before.stops_analyses:
            self._stopped_by = before.self_test_id
            self._asked.set()
            return self._clock() + RETRY_SECONDS
        age = self._every if before is None else (self._now() - before.ended_at).total_seconds()
        return self._clock() + max(START_DELAY_SECONDS, self._every - age)

    def tick(self) -> None:
        """From a timer, a few times a minute."""
        if (self._every > 0.0 or self._stopped_by is not None) and self._clock() >= self._next_at:
            self.request()

    def request(self) -> None:
        """A self-test is due now."""
        self._asked.set()

    def is_due(self) -> bool:
        return self._asked.is_set()

    def is_open(self) -> bool:
        """Whether analyses may be taken. A worker that stands still looks for an operator's word every second."""
        if self._stopped_by is not None and self._clock() >= self._look_at:
            self._look_at = self._clock() + _LOOK_SECONDS
            try:
                if self._results.is_accepted(self._stopped_by):
                    # until the next one that is due; a repetition that is under way would undo the operator's word
                    self._stopped_by = None
                    self._begin_again(self._every)
            except DatabaseUnavailableError:
                return False
        return self._stopped_by is None

    def step(self) -> None:
        """Sends one phantom; with the last one the self-test is recorded. A disk or a database in trouble postpones all of it."""
        run = self._run = self._run or _Run(self._now())
        try:
            run.seen.append(self._sent(len(run.seen)))
            if len(run.seen) < len(self._path):
                return
            self._end(run)
        except GatewayError as error:
            if not error.environmental:
                raise
            log_event(Event.SELF_TEST_POSTPONED, level="warning", code=error.code, error_class=type(error).__name__)
            self._begin_again(_POSTPONED_SECONDS)

    def failed(self, error: GatewayError) -> None:
        """A defect on the way: as good as a deviation."""
        run = self._run or _Run(self._now())
        run.seen += [SeenPhantom(deviations=(error.code,), profile="")]
        try:
            self._end(run)
        except GatewayError as second:
            log_event(Event.SELF_TEST_POSTPONED, level="error", error_class=type(second).__name__)
            self._begin_again(_POSTPONED_SECONDS)

    def _sent(self, number: int) -> SeenPhantom:
        try:
            return self._path.send(number)
        except GatewayError as error:
            if error.environmental:
                raise
            return SeenPhantom(deviations=(error.code,), profile="")

    def _end(self, run: _Run) -> None:
        result = SelfTestResult(
            self_test_id=new_id(),
            worker=self._worker,
            bundle_hash=self._bundle_hash,
            profile=next((seen.profile for seen in reversed(run.seen) if seen.profile), ""),
            phantoms=len(run.seen),
            deviations=tuple(f"{number}:{code}" for number, seen in enumerate(run.seen, 1) for code in seen.deviations),
            logit_difference=_largest(seen.logit_difference for seen in run.seen),
            saliency_difference=_largest(seen.saliency_difference for seen in run.seen),
            started_at=run.started_at,
            ended_at=self._now(),
        )
        self._results.add(result, actor=self._actor)
        self._alarms.set(AlarmCode.CONSTANCY, self._worker, stands=not result.passed, reason="deviation")
        event = Event.SELF_TEST_PASSED if result.passed else Event.SELF_TEST_DEVIATED
        log_event(
            event,
            level="info" if result.passed else "error",
            code=result.profile or None,
            count=result.phantoms,
            reason=" ".join(result.deviations) or None,
            duration_ms=round(1000 * (result.ended_at - result.started_at).total_seconds()),
        )
        self._stopped_by = None if result.passed else result.self_test_id
        self._begin_again(self._every if result.passed else RETRY_SECONDS)

    def _begin_again(self, in_seconds: float) -> None:
        self._run = None
        self._next_at = self._clock() + in_seconds
        self._asked.clear()


def _largest(differences: Iterable[float | None]) -> float | None:
    """Of those that are known and finite."""
    known = [value for value in differences if value is not None and math.isfinite(value)]
    return max(known, default=None)
