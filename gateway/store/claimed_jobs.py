"""The jobs that this process has claimed and not ended: only their leases are renewed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

from gateway.domain.job import Claim, JobKind


class Leases(Protocol):
    """The part of a queue that gives and renews leases."""

    def claim(self, kinds: Sequence[JobKind], owner: str, *, limit: int = 1, lane: str | None = None) -> tuple[Claim, ...]: ...

    def renew(self, claims: Sequence[Claim]) -> tuple[Claim, ...]: ...


class ClaimedJobs:
    """Shared by the threads of a role and its heartbeat. A job that no thread has in hand loses its lease and comes back."""

    def __init__(self, queue: Leases, owner: str) -> None:
        self.owner = owner
        self._queue = queue
        self._lock = threading.Lock()
        self._claims: dict[tuple[int, int], Claim] = {}

    def claim(self, kinds: Sequence[JobKind], *, limit: int = 1, lane: str | None = None) -> tuple[Claim, ...]:
        """See `JobQueue.claim`."""
        claims = self._queue.claim(kinds, self.owner, limit=limit, lane=lane)
        with self._lock:
            self._claims.update({(claim.job_id, claim.fence): claim for claim in claims})
        return claims

    def drop(self, claim: Claim) -> None:
        """It has ended, or is another worker's."""
        with self._lock:
            self._claims.pop((claim.job_id, claim.fence), None)

    def in_hand(self) -> tuple[Claim, ...]:
        with self._lock:
            return tuple(self._claims.values())

    def renew(self) -> None:
        """The heartbeat. What another worker has by now is dropped; the fence rejects whatever this one still makes of it."""
        for lost in self._queue.renew(self.in_hand()):
            self.drop(lost)
