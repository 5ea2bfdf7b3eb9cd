"""A lane of a role that runs one job after the other: claim, run, wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gateway.domain.job import Claim, JobKind
from gateway.errors import DatabaseUnavailableError
from gateway.events import Event, log_event
from gateway.store.job_bell import JobBell
from gateway.workers.attempt import Attempts, Ending, GivesUp

_DATABASE_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 1.0
"""Then the pace is asked again: another lane may have ended it."""


class JobHandler(GivesUp, Protocol):
    """Runs one kind of job. It ends the job itself, in one transaction with what the job made."""

    def run(self, claim: Claim) -> Ending:
        """What became of the job, for the log."""
        ...


class Pace(Protocol):
    """What a lane asks between its jobs."""

    def pause(self) -> float:
        """Seconds for which it should claim nothing; 0 = it may."""
        ...

    def idle(self) -> None:
        """No job is due, or none may be claimed."""
        ...


class Unhurried:
    """Claims whatever is due."""

    def pause(self) -> float:
        return 0.0

    def idle(self) -> None:
        pass


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLoop:
    """One thread, one job at a time. lane: only jobs of this one, None: of any."""

    attempts: Attempts
    handlers: Mapping[JobKind, JobHandler]
    bell: JobBell
    broken: Callable[[], bool] = lambda: False
    """True when this process cannot go on: the loop ends after the job."""
    lane: str | None = None
    pace: Pace = field(default_factory=Unhurried)

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set; the current job is finished first."""
        kinds = tuple(self.handlers)
        while not stop.is_set() and not self.broken():
            try:
                self.attempts.give_back_stranded()
                if pause := self.pace.pause():
                    self.pace.idle()
                    stop.wait(min(pause, _LONGEST_PAUSE_SECONDS))
                    continue
                claims = self.attempts.claimed.claim(kinds, lane=self.lane)
                if not claims:
                    self.pace.idle()
                    self.bell.wait(kinds, stop, lane=self.lane)
            except DatabaseUnavailableError as error:
                log_event(Event.JOB_CLAIMED, level="error", error_class=type(error).__name__)
                stop.wait(_DATABASE_PAUSE_SECONDS)
                continue
            for claim in claims:
                self.run_one(claim)

    def run_one(self, claim: Claim) -> None:
        started = time.monotonic()
        ending = self.attempts.step(claim, lambda: self.handlers[claim.kind].run(claim))
        if ending is not None:
            self.attempts.ended(claim, ending, time.monotonic() - started)
