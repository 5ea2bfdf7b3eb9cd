"""What the two roles that run jobs share: the queue, and how often an attempt is repeated."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Final

from gateway.app.role import Role
from gateway.config import Settings
from gateway.domain.job import JobKind
from gateway.store.claimed_jobs import ClaimedJobs
from gateway.store.database import Database
from gateway.store.job_queue import JobQueue
from gateway.workers.attempt import Attempts, GivesUp
from gateway.workers.retry import Backoff, RetryPolicy

_NO_LIMIT: Final = sys.maxsize


def queue_of(settings: Settings, database: Database) -> JobQueue:
    return JobQueue(database, lease_seconds=settings.worker.lease_seconds, max_lease_expiries=settings.worker.max_lease_expiries)


def attempts_of(settings: Settings, queue: JobQueue, claimed: ClaimedJobs, role: Role, handlers: Mapping[JobKind, GivesUp]) -> Attempts:
    return Attempts(queue=queue, claimed=claimed, handlers=handlers, policy=_policy(settings, role))


def _policy(settings: Settings, role: Role) -> RetryPolicy:
    """A delivery is tried for days, whatever the number of attempts; deliver_result knows when it has been too long."""
    patient = settings.delivery if role is Role.SENDER else settings.worker
    return RetryPolicy(
        max_attempts=_NO_LIMIT if role is Role.SENDER else settings.worker.max_attempts,
        backoff=Backoff(first_seconds=patient.retry_first_seconds, max_seconds=patient.retry_max_seconds),
    )
