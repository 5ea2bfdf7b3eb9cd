from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.store.joining import Joined, Turn


class Goes:
    """Work that is recorded by go; the first go of several waits until it is let on."""

    def __init__(self) -> None:
        self.goes: list[list[int]] = []
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.error: BaseException | None = None

    def work_on(self, turns: Sequence[Turn[int]]) -> None:
        self.goes.append([turn.work for turn in turns])
        self.begun.set()
        assert self.go_on.wait(20)
        if self.error is not None:
            raise self.error
        for turn in turns:
            turn.succeed(turn.work * 10)


def test_lone_thread_goes_at_once_every_time() -> None:
    goes = Goes()
    goes.go_on.set()
    joined = Joined(goes.work_on)
    assert [joined.do(number) for number in range(3)] == [0, 10, 20]
    assert goes.goes == [[0], [1], [2]]


def test_who_comes_during_a_go_shares_the_next_one() -> None:
    goes = Goes()
    joined = Joined(goes.work_on)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(joined.do, 0)
        assert goes.begun.wait(20)
        others = [pool.submit(joined.do, number) for number in range(1, 9)]
        while len(joined._waiting) < 8:
            pass
        goes.go_on.set()
        assert first.result() == 0
        assert [other.result() for other in others] == [number * 10 for number in range(1, 9)]
    assert goes.goes[0] == [0]
    assert sorted(goes.goes[1]) == list(range(1, 9))
    assert len(goes.goes) == 2


def test_go_that_fails_fails_all_its_turns_and_no_later_one() -> None:
    goes = Goes()
    goes.go_on.set()
    joined = Joined(goes.work_on)
    goes.error = MemoryError()
    with pytest.raises(MemoryError):
        joined.do(1)
    goes.error = None
    assert joined.do(2) == 20


def test_many_threads_all_get_their_own_outcome() -> None:
    goes = Goes()
    goes.go_on.set()
    joined = Joined(goes.work_on)
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(joined.do, range(2000))) == [number * 10 for number in range(2000)]
    assert sorted(work for go in goes.goes for work in go) == list(range(2000))
