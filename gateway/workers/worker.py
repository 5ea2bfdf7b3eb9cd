"""The loop of a role: claim, run, and turn what went wrong into the job's next state."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.job import Claim, JobKind
from gateway.errors import DatabaseUnavailableError, GatewayError, LeaseLostError
from gateway.events import Event, Level, log_event
from gateway.store.job_queue import JobQueue
from gateway.workers.retry import Backoff, retry_in


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended: JOB_DONE, JOB_POSTPONED, JOB_RETRY or JOB_DEAD, and the code that says why."""

    event: Event
    code: str

    @property
    def level(self) -> Level:
        return {Event.JOB_RETRY: "warning", Event.JOB_DEAD: "error"}.get(self.event, "info")  # type: ignore[return-value]


class JobHandler(Protocol):
    """Runs one kind of job. It ends the job itself, in one transaction with what the job made."""

    def run(self, claim: Claim) -> Ending:
        """What became of the job, for the log."""
        ...

    def give_up(self, claim: Claim, error: GatewayError) -> None:
        """The job will not be tried again: say so in the records, and end it as dead."""
        ...


class UnexpectedError(GatewayError):
    """A defect of the gateway. The job is tried again a few times; report it with the log line that names the class."""

    retryable = True


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLoop:
    """One loop, one job at a time."""

    queue: JobQueue
    handlers: Mapping[JobKind, JobHandler]
    owner: str
    poll_seconds: float
    max_attempts: int
    backoff: Backoff
    broken: Callable[[], bool] = lambda: False
    """True when this process cannot go on: the loop ends after the job."""

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set; the current job is finished first."""
        kinds = tuple(self.handlers)
        while not stop.is_set():
            try:
                claims = self.queue.claim(kinds, self.owner)
                for claim in claims:
                    self.run_one(claim)
                if self.broken():
                    return
            except DatabaseUnavailableError as error:
                log_event(Event.JOB_CLAIMED, level="error", error_class=type(error).__name__)
                stop.wait(1.0)
                continue
            if not claims:
                stop.wait(self.poll_seconds)

    def run_one(self, claim: Claim) -> None:
        started = time.monotonic()
        try:
            ending = self.handlers[claim.kind].run(claim)
        except LeaseLostError:
            log_event(Event.JOB_LEASE_EXPIRED, level="warning", job_id=claim.job_id, job_kind=claim.kind)
        except DatabaseUnavailableError:
            raise
        except GatewayError as error:
            self._failed(claim, error)
        except Exception as error:  # noqa: BLE001  the worker's edge: poison must not block its neighbours
            unexpected = UnexpectedError(type(error).__name__)
            unexpected.__cause__ = error
            self._failed(claim, unexpected)
        else:
            log_event(
                ending.event,
                level=ending.level,
                job_id=claim.job_id,
                job_kind=claim.kind,
                code=ending.code,
                study_instance_uid=claim.study_instance_uid,
                duration_ms=round(1000 * (time.monotonic() - started), 1),
            )

    def _failed(self, claim: Claim, error: GatewayError) -> None:
        """The error's text may quote a header: only its class and code are logged."""
        cause = error.__cause__
        delay = retry_in(
            error,
            failures=claim.attempts + 1,
            max_attempts=self.max_attempts,
            backoff=self.backoff,
            random=random.random,
        )
        log_event(
            Event.JOB_DEAD if delay is None else Event.JOB_RETRY,
            level="error",
            job_id=claim.job_id,
            job_kind=claim.kind,
            study_instance_uid=claim.study_instance_uid,
            code=error.code,
            error_class=type(cause or error).__name__,
        )
        try:
            self._end(claim, error, delay)
        except LeaseLostError:
            log_event(Event.JOB_LEASE_EXPIRED, level="warning", job_id=claim.job_id, job_kind=claim.kind)

    def _end(self, claim: Claim, error: GatewayError, delay: float | None) -> None:
        if delay is not None:
            self.queue.fail(claim, code=error.code, retry_in_seconds=delay)
            return
        try:
            self.handlers[claim.kind].give_up(claim, error)
        except (LeaseLostError, DatabaseUnavailableError):
            raise
        except Exception as second:  # noqa: BLE001  whatever its subject has become, the job itself must end
            log_event(Event.JOB_DEAD, level="error", job_id=claim.job_id, error_class=type(second).__name__)
            self.queue.fail(claim, code=error.code, retry_in_seconds=None)
