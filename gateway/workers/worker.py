"""A lane of a role that runs one job after the other: claim, run, wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.job import Claim, JobKind
from gateway.errors import DatabaseUnavailableError
from gateway.events import Event, log_event
from gateway.store.job_bell import JobBell
from gateway.workers.attempt import Attempts, Ending, GivesUp

_DATABASE_PAUSE_SECONDS = 1.0


class JobHandler(GivesUp, Protocol):
    """Runs one kind of job. It ends the job itself, in one transaction with what the job made."""

    def run(self, claim: Claim) -> Ending:
        """What became of the job, for the log."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLoop:
    """One thread, one job at a time."""

    attempts: Attempts
    handlers: Mapping[JobKind, JobHandler]
    bell: JobBell
    broken: Callable[[], bool] = lambda: False
    """True when this process cannot go on: the loop ends after the job."""

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set; the current job is finished first."""
        kinds = tuple(self.handlers)
        while not stop.is_set() and not self.broken():
            try:
                self.attempts.give_back_stranded()
                claims = self.attempts.claimed.claim(kinds)
                if not claims:
                    self.bell.wait(kinds, stop)
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
