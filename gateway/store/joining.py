"""Work that several threads want at once, done in one go for all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Work = TypeVar("Work")


class Turn(Generic[Work]):
    """One thread's piece of work and its own outcome: a result, or the error that its thread shall meet."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self._settled = False
        self._result: object = None
        self._error: BaseException | None = None

    @property
    def settled(self) -> bool:
        return self._settled

    def succeed(self, result: object) -> None:
        self._settled, self._result = True, result

    def fail(self, error: BaseException) -> None:
        self._settled, self._error = True, error

    def outcome(self) -> object:
        if self._error is not None:
            raise self._error
        return self._result


class Joined(Generic[Work]):
    """The first thread to come does the work of all that wait, its own among it; who comes meanwhile is in the next go.

    No thread of its own: a thread that is alone works at once, without a hand-over and without waiting for company.
    """

    def __init__(self, work_on: Callable[[Sequence[Turn[Work]]], None]) -> None:
        """work_on: settles every turn that it is given."""
        self._work_on = work_on
        self._waiting: list[Turn[Work]] = []
        self._lock = threading.Lock()
        self._going = threading.Lock()

    def do(self, work: Work) -> object:
        """The outcome of this piece of work, once the go that it was part of has ended."""
        turn = Turn(work)
        with self._lock:
            self._waiting.append(turn)
        with self._going:
            if not turn.settled:
                self._go()
        return turn.outcome()

    def _go(self) -> None:
        with self._lock:
            turns, self._waiting = self._waiting, []
        try:
            self._work_on(turns)
        except BaseException as error:
            # nobody may wait for ever, or take silence for success
            for turn in turns:
                if not turn.settled:
                    turn.fail(error)
            raise
