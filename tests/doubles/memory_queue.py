"""The queue in memory, for tests of workers. Its semantics are held to the store's by tests/integration/test_job_queue.py."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from gateway.domain.job import CLAIMABLE, Claim, JobAction, JobKind, JobState, after, after_expiry, operator_actions, together
from gateway.errors import DatabaseUnavailableError, JobActionError, JobNotFoundError, LeaseLostError


@dataclass(eq=False)
class MemoryJob:
    job_id: int
    kind: JobKind
    subject: str
    study_instance_uid: str
    next_at: datetime
    state: JobState = JobState.QUEUED
    attempts: int = 0
    lease_expiries: int = 0
    fence: int = 0
    lease_owner: str | None = None
    lease_until: datetime | None = None
    last_code: str | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    first_claimed_at: datetime | None = None
    lane: str | None = None

    def move(self, action: JobAction) -> None:
        self.state = after(self.state, action)
        if self.state is not JobState.RUNNING:
            self.lease_owner = self.lease_until = None


class MemoryQueue:
    """JobQueue and JobActs over a dictionary. unavailable: while true, every call fails as with a database that is gone."""

    def __init__(self, *, lease_seconds: float = 60, max_lease_expiries: int = 3) -> None:
        self.jobs: dict[int, MemoryJob] = {}
        self.unavailable = False
        self.changed = threading.Condition()
        self._lease = timedelta(seconds=lease_seconds)
        self._max_lease_expiries = max_lease_expiries
        self._numbers = itertools.count(1)

    def enqueue(
        self, kind: JobKind, subject: str, study_instance_uid: str = "1.2", *, next_at: datetime | None = None, lane: str | None = None
    ) -> None:
        with self.changed:
            at = next_at or datetime.now(UTC)
            waiting = self._waiting(kind, subject)
            if waiting is not None:
                waiting.next_at = min(waiting.next_at, at)
                return
            number = next(self._numbers)
            self.jobs[number] = MemoryJob(number, kind, subject, study_instance_uid, at, lane=lane)
            self.changed.notify_all()

    def claim(self, kinds: Sequence[JobKind], owner: str, *, limit: int = 1, lane: str | None = None) -> tuple[Claim, ...]:
        with self._available():
            now = datetime.now(UTC)
            due = [job for kind in kinds for job in self._oldest(kind, lane) if job.next_at <= now]
            return tuple(self._claim(job, owner, now) for job in together(due, limit))

    def seconds_until_due(self, kinds: Sequence[JobKind], *, lane: str | None = None) -> float | None:
        with self._available():
            now = datetime.now(UTC)
            return min((max(0.0, (job.next_at - now).total_seconds()) for kind in kinds for job in self._oldest(kind, lane)), default=None)

    def finish(self, claim: Claim, *, code: str = "done") -> None:
        self._end(claim, lambda job: self._close(job, JobAction.FINISH, code))

    def postpone(self, claim: Claim, *, seconds: float) -> None:
        self._end(claim, lambda job: self._again(job, JobAction.POSTPONE, seconds))

    def give_back(self, claim: Claim) -> None:
        self._end(claim, lambda job: self._again(job, JobAction.GIVE_BACK, 0.0))

    def set_aside(self, claim: Claim, *, code: str) -> None:
        self._end(claim, lambda job: self._close(job, JobAction.HOLD, code))

    def fail(self, claim: Claim, *, code: str, retry_in_seconds: float | None) -> None:
        def failed(job: MemoryJob) -> None:
            job.attempts, job.last_code = job.attempts + 1, code
            if retry_in_seconds is None:
                job.move(JobAction.GIVE_UP)
            else:
                self._again(job, JobAction.FAIL, retry_in_seconds)

        self._end(claim, failed)

    def renew(self, claims: Sequence[Claim]) -> tuple[Claim, ...]:
        with self._available():
            lost = []
            for claim in claims:
                job = self.jobs.get(claim.job_id)
                if job is None or job.state is not JobState.RUNNING or job.fence != claim.fence:
                    lost.append(claim)
                else:
                    job.lease_until = datetime.now(UTC) + self._lease
            return tuple(lost)

    def expire_leases(self, *, owner: str | None = None) -> int:
        with self._available():
            now = datetime.now(UTC)
            running = [job for job in self.jobs.values() if job.state is JobState.RUNNING and job.lease_until is not None]
            gone = [job for job in running if (job.lease_owner == owner if owner else job.lease_until < now)]
            for job in running:
                if job not in gone and job.lease_until > now + 2 * self._lease:
                    job.lease_until = now + self._lease
            for job in self.jobs.values():
                of_the_future = job.first_claimed_at is None and job.created_at > now + 2 * self._lease
                if of_the_future and job.state in CLAIMABLE:
                    job.next_at = min(job.next_at, now)
            for job in gone:
                self._expire(job)
            return len(gone)

    def act(self, job_id: int, action: JobAction) -> None:
        with self._available():
            job = self.jobs.get(job_id)
            if job is None:
                raise JobNotFoundError(str(job_id))
            if action not in operator_actions(job.kind, job.state):
                raise JobActionError(action)
            if action in (JobAction.RELEASE, JobAction.RETRY):
                if self._waiting(job.kind, job.subject) not in (None, job):
                    raise JobActionError("waits already")
                job.attempts = job.lease_expiries = 0
                job.next_at = datetime.now(UTC)
            job.move(action)
            job.fence += 1

    def wait_for(self, reached: Callable[[dict[int, MemoryJob]], bool], seconds: float = 20) -> bool:
        """Waits for a state of the jobs; the limit only bounds a test that fails."""
        with self.changed:
            return self.changed.wait_for(lambda: reached(self.jobs), seconds)

    def _available(self) -> threading.Condition:
        if self.unavailable:
            raise DatabaseUnavailableError("double")
        return self.changed

    def _waiting(self, kind: JobKind, subject: str) -> MemoryJob | None:
        return next((job for job in self.jobs.values() if (job.kind, job.subject) == (kind, subject) and job.state in CLAIMABLE), None)

    def _oldest(self, kind: JobKind, lane: str | None) -> list[MemoryJob]:
        waiting = (job for job in self.jobs.values() if job.kind is kind and job.state in CLAIMABLE and lane in (None, job.lane))
        return sorted(waiting, key=lambda job: (job.next_at, job.job_id))

    def _claim(self, job: MemoryJob, owner: str, now: datetime) -> Claim:
        job.move(JobAction.CLAIM)
        job.fence += 1
        job.lease_owner, job.lease_until = owner, now + self._lease
        job.first_claimed_at = job.first_claimed_at or now
        return Claim(
            job_id=job.job_id,
            kind=job.kind,
            subject=job.subject,
            study_instance_uid=job.study_instance_uid,
            attempts=job.attempts,
            lease_expiries=job.lease_expiries,
            fence=job.fence,
            owner=owner,
            created_at=job.created_at,
            first_claimed_at=job.first_claimed_at,
        )

    def _end(self, claim: Claim, end: Callable[[MemoryJob], None]) -> None:
        with self._available():
            job = self.jobs.get(claim.job_id)
            if job is None or job.state is not JobState.RUNNING or job.fence != claim.fence:
                raise LeaseLostError(str(claim.job_id))
            end(job)
            self.changed.notify_all()

    def _close(self, job: MemoryJob, action: JobAction, code: str) -> None:
        job.move(action)
        job.last_code = code

    def _again(self, job: MemoryJob, action: JobAction, seconds: float) -> None:
        if self._waiting(job.kind, job.subject) is not None:
            self._close(job, JobAction.FINISH, "superseded")
            return
        job.move(action)
        job.next_at = datetime.now(UTC) + timedelta(seconds=seconds)

    def _expire(self, job: MemoryJob) -> None:
        job.lease_expiries += 1
        job.fence += 1
        action = after_expiry(job.lease_expiries, self._max_lease_expiries)
        if action is JobAction.HOLD:
            self._close(job, action, "lease_expiries")
        else:
            self._again(job, action, 0.0)
