"""Work that several threads want at once, done in one go for all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Work = TypeVar("Work")


class Turn(Generic[Work]):
    """One thread's piece of work and its own outcome: a result, or the error that its thread shall meet."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.settled = False
        self.since = time.monotonic()
        self._result: object = None
        self._error: BaseException | None = None
        self._called = threading.Lock()
        self._called.acquire()

    def succeed(self, result: object) -> None:
        self.settled, self._result = True, result

    def fail(self, error: BaseException) -> None:
        self.settled, self._error = True, error

    def call(self) -> None:
        """Its thread may go on."""
        self._called.release()

    def wait(self) -> None:
        self._called.acquire()

    def outcome(self) -> object:
        if self._error is not None:
            raise self._error
        return self._result


class Joined(Generic[Work]):
    """The first thread to come does the work of all that wait, its own among it; who comes meanwhile is in the next go.

    No thread of its own: a thread that is alone works at once, without a hand-over and without waiting for company. Each thread
    that waits is called by itself: a lock that all of them had to pass would cost each a turn of the interpreter.
    """

    def __init__(self, work_on: Callable[[Sequence[Turn[Work]]], None]) -> None:
        """work_on: settles every turn that it is given."""
        self._work_on = work_on
        self._waiting: list[Turn[Work]] = []
        self._lock = threading.Lock()
        self._is_going = False

    def do(self, work: Work) -> object:
        """The outcome of this piece of work, once the go that it was part of has ended."""
        turn = Turn(work)
        with self._lock:
            self._waiting.append(turn)
            goes_first, self._is_going = not self._is_going, True
        if not goes_first:
            turn.wait()
        if not turn.settled:
            self._go(turn)
        return turn.outcome()

    def _go(self, own: Turn[Work]) -> None:
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
        finally:
            self._pass_on()
            for turn in turns:
                if turn is not own:
                    turn.call()

    def _pass_on(self) -> None:
        """Who came meanwhile goes next, by the first of them."""
        with self._lock:
            if self._waiting:
                self._waiting[0].call()
            else:
                self._is_going = False
