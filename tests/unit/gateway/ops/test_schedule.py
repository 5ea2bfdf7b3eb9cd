"""Timers: late is not never, trouble stays in its tick, and only a leader does what one does for all."""

from __future__ import annotations

import sys
import threading
import traceback

import pytest

from gateway.domain.duty import Duty
from gateway.errors import DatabaseUnavailableError
from gateway.ops.schedule import Timer, Timers
from tests.faults.waiting import happens


class Candidate:
    def __init__(self, *, leads: bool) -> None:
        self.is_leader = leads
        self.resigned = False

    def leads(self) -> bool:
        return self.is_leader

    def resign(self) -> None:
        self.resigned = True


def test_failing_or_hanging_tick_holds_up_no_other_and_comes_again() -> None:
    failures, ticked, hung, release = threading.Semaphore(0), threading.Semaphore(0), threading.Event(), threading.Event()

    def fail(error: Exception) -> None:
        failures.release()
        raise error

    def hang() -> None:
        hung.set()
        release.wait(30)

    timers = (
        Timer(name="trouble", seconds=0.01, tick=lambda: fail(DatabaseUnavailableError())),
        Timer(name="defect", seconds=0.01, tick=lambda: fail(ZeroDivisionError())),
        Timer(name="hanging", seconds=0.01, tick=hang),
        Timer(name="good", seconds=0.01, tick=ticked.release),
    )
    with Timers(timers):
        assert hung.wait(30)
        for semaphore in (failures, ticked):
            for _ in range(5):
                assert semaphore.acquire(timeout=30)
        release.set()


def test_only_the_leader_of_a_duty_ticks_for_it_and_resigns_at_the_end() -> None:
    done: list[str] = []
    three = threading.Semaphore(0)
    store, destinations = Candidate(leads=False), Candidate(leads=True)
    timers = (
        Timer(name="retention", seconds=0.01, tick=lambda: done.append("store"), duty=Duty.STORE),
        Timer(name="echo", seconds=0.01, tick=lambda: (done.append("destinations"), three.release()), duty=Duty.DESTINATIONS),
    )
    with Timers(timers, {Duty.STORE: store, Duty.DESTINATIONS: destinations}):
        for _ in range(3):
            assert three.acquire(timeout=30)
    assert set(done) == {"destinations"}
    assert store.resigned
    assert destinations.resigned


def test_each_timer_has_its_thread_from_the_start_so_that_one_that_is_needed_later_need_not_be_had() -> None:
    timers = tuple(Timer(name=name, seconds=3600, tick=lambda: None) for name in ("disk", "spool", "clock"))
    with Timers(timers):
        count = sum(thread.name.startswith("timer_") for thread in threading.enumerate())
    assert count == len(timers)


def at_the_barrier(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    return thread.name.startswith("timer_") and frame is not None and any(call.name == "_wait" for call in traceback.extract_stack(frame))


def test_host_that_gives_no_more_threads_is_told_at_the_start_and_nothing_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    timers = tuple(Timer(name=name, seconds=3600, tick=lambda: None) for name in ("disk", "spool", "clock"))
    start = threading.Thread.start

    def last_refused(thread: threading.Thread) -> None:
        if thread.name == "timer_2":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", last_refused)
    with pytest.raises(RuntimeError, match="new thread"), Timers(timers):
        pass
    left = [thread for thread in threading.enumerate() if thread.name.startswith("timer_")]
    assert happens(lambda: not any(at_the_barrier(thread) for thread in left), 30)
