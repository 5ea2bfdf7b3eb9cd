"""Jobs whose end could not be recorded, and the lanes of a role that give them back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.domain.job import Claim, JobKind
from gateway.errors import DatabaseUnavailableError
from gateway.store.claimed_jobs import ClaimedJobs
from gateway.workers.attempt import Attempts
from gateway.workers.retry import Backoff, RetryPolicy
from tests.doubles.memory_queue import MemoryQueue

KIND = JobKind.ANALYZE_INSTANCE
POLICY = RetryPolicy(max_attempts=3, backoff=Backoff(first_seconds=0.001, max_seconds=0.001))


class WatchedQueue(MemoryQueue):
    """given_back: in this order. meanwhile: what another lane does while a job is being given back."""

    def __init__(self) -> None:
        super().__init__()
        self.given_back: list[int] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def give_back(self, claim: Claim) -> None:
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        super().give_back(claim)
        self.given_back.append(claim.job_id)


def stranded(queue: WatchedQueue, *, jobs: int) -> Attempts:
    for number in range(jobs):
        queue.enqueue(KIND, str(number))
    claimed = ClaimedJobs(queue, "test:worker:1")
    attempts = Attempts(queue=queue, claimed=claimed, handlers={}, policy=POLICY)

    def gone() -> None:
        raise DatabaseUnavailableError

    for claim in claimed.claim([KIND], limit=jobs):
        assert attempts.step(claim, gone) is None
    return attempts


def test_two_lanes_give_each_stranded_job_back_once() -> None:
    queue = WatchedQueue()
    attempts = stranded(queue, jobs=3)
    queue.meanwhile = attempts.give_back_stranded
    attempts.give_back_stranded()
    assert sorted(queue.given_back) == [1, 2, 3]


def test_stranded_job_that_cannot_be_given_back_yet_is_given_back_later() -> None:
    queue = WatchedQueue()
    attempts = stranded(queue, jobs=2)
    queue.unavailable = True
    with pytest.raises(DatabaseUnavailableError):
        attempts.give_back_stranded()
    queue.unavailable = False
    attempts.give_back_stranded()
    assert sorted(queue.given_back) == [1, 2]
