"""When a failed attempt is tried again. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.errors import GatewayError


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Doubling from first_seconds to max_seconds. jitter: a number in 0..1 from a random source."""

    first_seconds: float
    max_seconds: float

    def delay(self, attempts: int, jitter: float) -> float:
        """Seconds until the next attempt after `attempts` failures (at least 1): half fixed, half random."""
        full = min(self.max_seconds, self.first_seconds * 2.0 ** min(attempts - 1, 30))
        return full * (0.5 + 0.5 * jitter)


def retry_in(error: GatewayError, *, failures: int, max_attempts: int, backoff: Backoff, random: Callable[[], float]) -> float | None:
    """Seconds until the next attempt, None when there is none. failures: this one counted in. Trouble of the
    surroundings has no last attempt."""
    if not error.retryable or (failures >= max_attempts and not error.environmental):
        return None
    return backoff.delay(failures, random())
