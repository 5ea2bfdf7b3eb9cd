"""What becomes of a job whose attempt failed. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.config import Settings
from gateway.domain.job import Claim, JobAction
from gateway.errors import GatewayError

_MARGIN: Final = 0.05
"""Of the lease: for what is on its way when it ends."""


class Nature(StrEnum):
    """What an error says of the next attempt."""

    PASSING = "passing"
    """It may succeed."""
    ENVIRONMENTAL = "environmental"
    """It may succeed, and the job is not to blame: disk, database."""
    PERSONAL = "personal"
    """It cannot succeed until a person has decided something."""
    FINAL = "final"
    """It would fail likewise."""


AFTER_FAILURE: Final[dict[tuple[Nature, bool], JobAction]] = {
    (Nature.PASSING, True): JobAction.FAIL,
    (Nature.PASSING, False): JobAction.GIVE_UP,
    (Nature.ENVIRONMENTAL, True): JobAction.FAIL,
    (Nature.ENVIRONMENTAL, False): JobAction.FAIL,
    (Nature.PERSONAL, True): JobAction.HOLD,
    (Nature.PERSONAL, False): JobAction.HOLD,
    (Nature.FINAL, True): JobAction.GIVE_UP,
    (Nature.FINAL, False): JobAction.GIVE_UP,
}
"""By the error's nature and whether attempts are left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Doubling from first_seconds to max_seconds. jitter: a number in 0..1 from a random source."""

    first_seconds: float
    max_seconds: float

    def delay(self, attempts: int, jitter: float) -> float:
        """Seconds until the next attempt after `attempts` failures (at least 1): half fixed, half random."""
        full = min(self.max_seconds, self.first_seconds * 2.0 ** min(attempts - 1, 30))
        return full * (0.5 + 0.5 * jitter)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """A role's patience."""

    max_attempts: int
    backoff: Backoff


@dataclass(frozen=True, slots=True)
class Decision:
    """action: FAIL, GIVE_UP or HOLD. delay_seconds: until the next attempt, with FAIL only."""

    action: JobAction
    delay_seconds: float = 0.0


def sends_until(claim: Claim, settings: Settings) -> float:
    """On time.monotonic(): a sender that was stopped, and comes back after its lease, sends nothing; another one may have."""
    return claim.lease_ends - _MARGIN * settings.worker.lease_seconds


def nature_of(error: GatewayError) -> Nature:
    if error.needs_a_person:
        return Nature.PERSONAL
    if error.environmental:
        return Nature.ENVIRONMENTAL
    return Nature.PASSING if error.retryable else Nature.FINAL


def decide(error: GatewayError, *, failures: int, policy: RetryPolicy, random: Callable[[], float]) -> Decision:
    """failures: of this job, this one counted in. random: a number in 0..1."""
    action = AFTER_FAILURE[nature_of(error), failures < policy.max_attempts]
    if action is not JobAction.FAIL:
        return Decision(action)
    return Decision(action, policy.backoff.delay(failures, random()))
