"""One budget for all messages that are being received: what does not fit is not read."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Final

_STEP: Final = 1024 * 1024
_LOOK_SECONDS: Final = 0.5


class MemoryBudget:
    """Bytes for all messages in flight. No message waits for ever, and no address takes everything.

    A C-STORE request does not say how long its data set will be (PS3.7 9.3.1), so messages grow step by step. To keep them from waiting
    for each other in a circle, as much as the longest message may have is set aside: it goes to the message that has waited
    longest, which can therefore always be completed and gives its memory back. Of the rest, the common part, one peer address gets
    half at most.
    """

    def __init__(self, total: int, longest_message: int) -> None:
        self._common = self._free = max(0, total - _with_slack(longest_message))
        self._held: Counter[str] = Counter()
        self._first: Reservation | None = None
        self._waiting: list[Reservation] = []
        self._changed = threading.Condition()

    @property
    def is_exhausted(self) -> bool:
        """True while a message waits although its address has less than its half: no time for new associations."""
        with self._changed:
            return any(self._is_within_share(waiting) for waiting in self._waiting)

    @property
    def in_use(self) -> int:
        """Bytes that messages hold now."""
        with self._changed:
            return self._common - self._free + (self._first.beyond if self._first else 0)

    def reservation(self, address: str) -> Reservation:
        return Reservation(self, address)

    def _grow(self, reservation: Reservation, size: int, deadline: float, is_over: Callable[[], bool]) -> bool:
        with self._changed:
            reservation.wanted = size
            if self._take(reservation):
                return True
            self._waiting.append(reservation)
            try:
                while not self._take(reservation):
                    if self._first is None and self._waiting[0] is reservation:
                        self._first = reservation
                        continue
                    left = deadline - time.monotonic()
                    if is_over() or left <= 0:
                        return False
                    self._changed.wait(min(left, _LOOK_SECONDS))
            finally:
                self._waiting.remove(reservation)
                self._changed.notify_all()
        return True

    def _take(self, reservation: Reservation) -> bool:
        if self._first is reservation:
            reservation.beyond = reservation.wanted - reservation.held
            return True
        need = reservation.wanted - reservation.held
        if need > self._free or not self._is_within_share(reservation) or self._is_behind_another(reservation):
            return False
        self._free -= need
        self._held[reservation.address] += need
        reservation.held = reservation.wanted
        return True

    def _is_within_share(self, reservation: Reservation) -> bool:
        return self._held[reservation.address] + reservation.wanted - reservation.held <= self._common // 2

    def _is_behind_another(self, reservation: Reservation) -> bool:
        """Who waits for its own address's share is passed by."""
        earlier = itertools.takewhile(lambda waiting: waiting is not reservation, self._waiting)
        return any(self._is_within_share(waiting) for waiting in earlier)

    def _release(self, reservation: Reservation) -> None:
        with self._changed:
            if self._first is reservation:
                self._first = None
            self._free += reservation.held
            self._held[reservation.address] -= reservation.held
            if not self._held[reservation.address]:
                del self._held[reservation.address]
            reservation.held = reservation.beyond = 0
            self._changed.notify_all()


class Reservation:
    """What one message holds of the budget."""

    def __init__(self, budget: MemoryBudget, address: str) -> None:
        self._budget = budget
        self.address = address
        self.wanted = 0
        """Bytes; changed by the budget alone, as are the next two."""
        self.held = 0
        """Bytes of the common part."""
        self.beyond = 0
        """Bytes of what is set aside for the message that has waited longest."""
        self._covers = 0

    def cover(self, size: int, deadline: float, is_over: Callable[[], bool]) -> bool:
        """Holds enough for a buffer of `size` bytes, waiting if it must.

        deadline: on time.monotonic(). False when it passed, or `is_over` came true, meanwhile.
        """
        if size <= self._covers:
            return True
        whole = _with_slack(size)
        if not self._budget._grow(self, whole, deadline, is_over):  # noqa: SLF001  two halves of one thing
            return False
        self._covers = whole // 9 * 8
        return True

    def release(self) -> None:
        self._covers = 0
        self._budget._release(self)  # noqa: SLF001


def _with_slack(size: int) -> int:
    """What a BytesIO of that size may take: it grows by an eighth more than it needs. Whole steps, so that few are asked for."""
    return -(-(size + size // 8) // _STEP) * _STEP


class ReceivedDataSet(BytesIO):
    """An encoded data set as it comes in."""

    def __init__(self, reservation: Reservation) -> None:
        super().__init__()
        self.reservation = reservation
        self.is_too_long = False
        """It was longer than a message may be: what came was dropped, and it is empty."""

    def forget(self) -> None:
        """It has become too long."""
        self.is_too_long = True
        self.seek(0)
        self.truncate()
        self.reservation.release()

    def drop(self) -> None:
        """Forgets the content and gives its memory back to the budget, whoever still points at it."""
        # somebody still looks at the buffer: then its memory goes with the last look
        with suppress(BufferError):
            self.close()
        self.reservation.release()
