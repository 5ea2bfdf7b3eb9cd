"""One attempt at a job: what went wrong becomes the job's next state, and never another job's."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from gateway.domain.job import Claim, JobAction, JobKind
from gateway.errors import DatabaseUnavailableError, GatewayError, LeaseLostError
from gateway.events import Event, Level, log_event
from gateway.store.claimed_jobs import ClaimedJobs
from gateway.workers.retry import Decision, RetryPolicy, decide

_EVENTS: Final = {JobAction.FAIL: Event.JOB_RETRY, JobAction.GIVE_UP: Event.JOB_DEAD, JobAction.HOLD: Event.JOB_HELD}
_LEVELS: Final[dict[Event, Level]] = {Event.JOB_RETRY: "warning", Event.JOB_DEAD: "error", Event.JOB_HELD: "error"}

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended: JOB_DONE, JOB_POSTPONED, JOB_RETRY or JOB_DEAD, and the code that says why."""

    event: Event
    code: str

    @property
    def level(self) -> Level:
        return _LEVELS.get(self.event, "info")


class GivesUp(Protocol):
    """What every handler of a kind of job does when it will not be tried again."""

    def give_up(self, claim: Claim, error: GatewayError) -> None:
        """Says so in the records, and ends the job as dead."""
        ...


class EndsJobs(Protocol):
    """The part of a queue that ends attempts."""

    def fail(self, claim: Claim, *, code: str, retry_in_seconds: float | None) -> None: ...

    def set_aside(self, claim: Claim, *, code: str) -> None: ...

    def give_back(self, claim: Claim) -> None: ...


class UnexpectedError(GatewayError):
    """A defect of the gateway. The job is tried again a few times; report it with the log line that names the class."""

    retryable = True


def unexpected(error: Exception) -> UnexpectedError:
    """A defect as an error of the tree. Its text is left out: it may quote a header."""
    wrapped = UnexpectedError(type(error).__name__)
    wrapped.__cause__ = error
    return wrapped


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """Runs steps of jobs, from any thread of a role."""

    queue: EndsJobs
    claimed: ClaimedJobs
    handlers: Mapping[JobKind, GivesUp]
    policy: RetryPolicy
    _stranded: list[Claim] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def step(self, claim: Claim, work: Callable[[], Made]) -> Made | None:
        """What the step made; None when it ended the job by failing."""
        try:
            return work()
        except LeaseLostError:
            self._lost(claim)
        except DatabaseUnavailableError as error:
            self._strand(claim, error)
        except GatewayError as error:
            self.failed(claim, error)
        except Exception as error:  # noqa: BLE001  the worker's edge: poison must not block its neighbours
            self.failed(claim, unexpected(error))
        return None

    def ended(self, claim: Claim, ending: Ending, seconds: float) -> None:
        """The handler has ended the job."""
        self.claimed.drop(claim)
        log_event(
            ending.event,
            level=ending.level,
            job_id=claim.job_id,
            job_kind=claim.kind,
            code=ending.code,
            study_instance_uid=claim.study_instance_uid,
            duration_ms=round(1000 * seconds, 1),
        )

    def failed(self, claim: Claim, error: GatewayError) -> None:
        """The error's text may quote a header: only its class and code are logged."""
        decision = decide(error, failures=claim.attempts + 1, policy=self.policy, random=random.random)
        log_event(
            _EVENTS[decision.action],
            level="error",
            job_id=claim.job_id,
            job_kind=claim.kind,
            study_instance_uid=claim.study_instance_uid,
            code=error.code,
            error_class=type(error.__cause__ or error).__name__,
        )
        try:
            self._end(claim, error, decision)
        except LeaseLostError:
            self._lost(claim)
        except DatabaseUnavailableError as second:
            self._strand(claim, second)
        else:
            self.claimed.drop(claim)

    def _end(self, claim: Claim, error: GatewayError, decision: Decision) -> None:
        if decision.action is JobAction.FAIL:
            self.queue.fail(claim, code=error.code, retry_in_seconds=decision.delay_seconds)
            return
        if decision.action is JobAction.HOLD:
            self.queue.set_aside(claim, code=error.code)
            return
        try:
            self.handlers[claim.kind].give_up(claim, error)
        except (LeaseLostError, DatabaseUnavailableError):
            raise
        except Exception as second:  # noqa: BLE001  whatever its subject has become, the job itself must end
            log_event(Event.JOB_DEAD, level="error", job_id=claim.job_id, error_class=type(second).__name__)
            self.queue.fail(claim, code=error.code, retry_in_seconds=None)

    def give_back(self, claim: Claim) -> None:
        """Not begun, or its end could not be recorded: it waits again. Raises DatabaseUnavailableError."""
        # it may be another worker's by now, or the commit happened although its answer was lost
        with suppress(LeaseLostError):
            self.queue.give_back(claim)
        self.claimed.drop(claim)

    def give_back_in_hand(self) -> None:
        """The process must end and its threads do not. Whatever they still make of these jobs is rejected by the queue."""
        for claim in self.claimed.in_hand():
            try:
                self.give_back(claim)
            except DatabaseUnavailableError as error:
                # its lease will run out
                log_event(Event.JOB_GIVEN_BACK, level="error", job_id=claim.job_id, error_class=type(error).__name__)
            else:
                log_event(Event.JOB_GIVEN_BACK, level="warning", job_id=claim.job_id, job_kind=claim.kind)

    def give_back_stranded(self) -> None:
        """Jobs whose end could not be recorded come back as soon as the database does. Raises DatabaseUnavailableError."""
        while True:
            with self._lock:
                if not self._stranded:
                    return
                # taken out at once: another lane may be here at the same time
                claim = self._stranded.pop(0)
            try:
                self.give_back(claim)
            except BaseException:
                with self._lock:
                    self._stranded.append(claim)
                raise

    def _strand(self, claim: Claim, error: GatewayError) -> None:
        log_event(Event.JOB_RETRY, level="error", job_id=claim.job_id, job_kind=claim.kind, error_class=type(error).__name__)
        with self._lock:
            self._stranded.append(claim)

    def _lost(self, claim: Claim) -> None:
        self.claimed.drop(claim)
        log_event(Event.JOB_LEASE_EXPIRED, level="warning", job_id=claim.job_id, job_kind=claim.kind)
