"""What lets pynetdicom's loops wait for events instead of polling: a wake-up that poll() sees, and timers that no clock step moves."""

from __future__ import annotations

import math
import os
import select
import threading
import time
from contextlib import suppress

from pynetdicom.timer import Timer


class Waker:
    """Ends another thread's poll(). A wake-up that comes before the wait is not lost."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lock = threading.Lock()
        self._open = True

    def fileno(self) -> int:
        return self._descriptor

    def wake(self) -> None:
        # under the lock: once closed, the number may be another connection's descriptor
        with self._lock:
            if self._open:
                os.eventfd_write(self._descriptor, 1)

    def clear(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._descriptor)

    def close(self) -> None:
        with self._lock:
            if self._open:
                self._open = False
                os.close(self._descriptor)


def milliseconds(seconds: float | None) -> int | None:
    """A time-out for poll(), rounded up so that it never ends just too early and spins."""
    return None if seconds is None else max(0, math.ceil(seconds * 1000))


def wait_for(descriptor: int, events: int, seconds: float) -> bool:
    """True when the descriptor is ready in time. poll(), because select() breaks on descriptors of 1024 and above."""
    poller = select.poll()
    poller.register(descriptor, events)
    return bool(poller.poll(milliseconds(seconds)))


class MonotonicTimer(Timer):  # type: ignore[misc]
    """pynetdicom's timer (the ARTIM timer of PS3.8 9.1.5 and the idle timer) on a clock that nobody sets.

    Once stopped it does not expire: pynetdicom's own does, when it was stopped too late.
    """

    def __init__(self, timeout: float | None) -> None:
        super().__init__(timeout)
        self._start_time: float | None = None

    @property
    def expired(self) -> bool:
        left = self.left
        return left is not None and left <= 0

    @property
    def remaining(self) -> float:
        left = self.left
        return 1.0 if left is None else left

    @property
    def left(self) -> float | None:
        """Seconds until it expires, None while it cannot."""
        if self.timeout is None or self._start_time is None:
            return None
        return float(self.timeout) - (time.monotonic() - self._start_time)

    def start(self) -> None:
        self._start_time = time.monotonic()

    def stop(self) -> None:
        self._start_time = None
