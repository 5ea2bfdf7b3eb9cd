from __future__ import annotations

import select
import time

import pytest

from gateway.receive.waking import MonotonicTimer, Waker, milliseconds, wait_for


def test_wake_up_before_the_wait_is_not_lost() -> None:
    waker = Waker()
    waker.wake()
    waker.wake()
    assert wait_for(waker.fileno(), select.POLLIN, 10)
    waker.clear()
    waker.clear()
    assert not wait_for(waker.fileno(), select.POLLIN, 0)
    waker.close()


def test_wake_up_after_the_end_touches_no_foreign_descriptor() -> None:
    waker = Waker()
    waker.close()
    other = Waker()
    assert other.fileno() == waker.fileno()
    waker.wake()
    waker.close()
    assert not wait_for(other.fileno(), select.POLLIN, 0)
    other.close()


def test_wait_never_ends_just_too_early() -> None:
    assert (milliseconds(None), milliseconds(0.0001), milliseconds(-1), milliseconds(1.5)) == (None, 1, 0, 1500)


def test_timer_expires_by_a_clock_that_nobody_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(time, "time", lambda: -1e9)
    timer = MonotonicTimer(5)
    assert (timer.expired, timer.left) == (False, None)
    timer.start()
    now = 104.9
    assert not timer.expired
    now = 105.0
    assert timer.expired
    timer.restart()
    assert not timer.expired


def test_timer_that_was_stopped_too_late_does_not_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    timer = MonotonicTimer(5)
    timer.start()
    now = 6.0
    timer.stop()
    assert not timer.expired


def test_timer_without_a_limit_never_expires() -> None:
    timer = MonotonicTimer(None)
    timer.start()
    assert (timer.expired, timer.left) == (False, None)
