"""Timers. A tick only looks at what the database knows anyway: losing one loses no work. docs/timers.md has the table."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from apscheduler.executors.pool import BasePoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from gateway.domain.duty import Duty
from gateway.errors import GatewayError
from gateway.events import Event, log_event
from gateway.ops.clock_steps import ClockSteps
from gateway.ops.logging import place_of
from gateway.store.leadership import Leadership


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """One line of the table. duty: only its leader does it; None: every process that has the timer."""

    name: str
    seconds: float
    tick: Callable[[], object]
    duty: Duty | None = None
    stop: Callable[[], object] = lambda: None
    """Called at the end: a tick that may take minutes ends by it."""


class _Threads(BasePoolExecutor):  # type: ignore[misc]
    """All threads from the start: where a flood has used up what the process may have, a tick (the disk's, say) still has its own."""

    def __init__(self, count: int) -> None:
        super().__init__(futures.ThreadPoolExecutor(count, thread_name_prefix="timer"))
        self._count = count

    def start(self, scheduler: Any, alias: str) -> None:
        """The pool makes a thread only when all it has are busy: here they wait for the last one."""
        super().start(scheduler, alias)
        all_there = threading.Barrier(self._count)
        try:
            for _ in range(self._count):
                self._pool.submit(all_there.wait)
        except RuntimeError:
            # the host gives no more threads: those that wait must not keep the process from ending
            all_there.abort()
            raise


class Timers:
    """Runs timers until it is left. Each has a thread of its own, so that none waits for another; no tick overtakes the one before."""

    def __init__(self, timers: Sequence[Timer], leaderships: Mapping[Duty, Leadership] | None = None) -> None:
        """misfire_grace_time None: a late tick still runs; coalesce: several late ones are one."""
        self._leaderships = leaderships or {}
        self._locks = {duty: threading.Lock() for duty in self._leaderships}
        self._scheduler = BackgroundScheduler(
            executors={"default": _Threads(max(1, len(timers)))},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone="UTC",
        )
        # APScheduler goes by the host's clock
        self._steps = ClockSteps(lambda _seconds: self._all_due())
        self._stops = tuple(timer.stop for timer in timers)
        self._ticks = {timer.name: self._guarded(timer) for timer in timers}
        for timer in timers:
            self._scheduler.add_job(self._ticks[timer.name], "interval", seconds=timer.seconds, id=timer.name, jitter=timer.seconds / 10)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._ticks)

    def tick(self, name: str) -> None:
        """One tick at once, as if its time had come."""
        self._ticks[name]()

    def __enter__(self) -> Self:
        self._scheduler.start()
        self._steps.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._steps.stop()
        self._scheduler.shutdown(wait=False)
        for stop in self._stops:
            stop()
        for leadership in self._leaderships.values():
            leadership.resign()

    def _all_due(self) -> None:
        """The clock was set back: their next times are as far away as that."""
        for name in self._ticks:
            # a last look beside the end
            with suppress(JobLookupError):
                self._scheduler.modify_job(name, next_run_time=datetime.now(UTC))

    def _guarded(self, timer: Timer) -> Callable[[], None]:
        """What goes wrong in one tick stays there, and is tried again with the next."""

        def run() -> None:
            try:
                if self._may(timer.duty):
                    timer.tick()
            except GatewayError as error:
                log_event(Event.TIMER_FAILED, level="error", timer=timer.name, error_class=type(error).__name__, code=error.code)
            except Exception as error:  # noqa: BLE001  a timer's edge: APScheduler would log the text, and go on as well
                log_event(Event.TIMER_FAILED, level="error", timer=timer.name, error_class=type(error).__name__, reason=place_of(error))

        return run

    def _may(self, duty: Duty | None) -> bool:
        if duty is None:
            return True
        with self._locks[duty]:
            return self._leaderships[duty].leads()
