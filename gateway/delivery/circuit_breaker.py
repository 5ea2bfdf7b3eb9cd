"""Leaves a destination that does not answer alone for a while, instead of trying every result on it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Final

_FIRST_SECONDS: Final = 1.0


class CircuitBreaker:
    """One per destination, shared by its lanes. failures: in a row, until it opens; seconds: the longest pause.

    After a pause the next result is tried; if that fails too, the pause is doubled.
    """

    def __init__(self, *, failures: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._allowed = failures
        self._longest = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._failed = 0
        self._opened_at = -math.inf
        self._open_until = 0.0

    def now(self) -> float:
        """On its clock, for `failed`."""
        return self._clock()

    @property
    def pause_seconds(self) -> float:
        """Until the destination may be tried; 0 = now."""
        with self._lock:
            return max(0.0, self._open_until - self._clock())

    def failed(self, begun: float) -> bool:
        """The destination could not be talked to, in a request begun then. True when this has opened the breaker.

        Lanes that fail together count once: what was begun before the current pause says nothing of the time after it.
        """
        with self._lock:
            if begun < self._opened_at:
                return False
            self._failed += 1
            beyond = self._failed - self._allowed
            if beyond < 0:
                return False
            self._opened_at = self._clock()
            self._open_until = self._opened_at + min(self._longest, _FIRST_SECONDS * 2.0 ** min(beyond, 30))
            return beyond == 0

    def answered(self) -> bool:
        """The destination has answered, whatever it said. True when this has closed the breaker."""
        with self._lock:
            was_open = self._failed >= self._allowed
            self._failed, self._open_until = 0, 0.0
            return was_open
