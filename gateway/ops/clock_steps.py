"""The host's clock set back: whatever goes by it stands still for as long as that was, unless somebody notices."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from gateway.events import Event, log_event

_LOOK_SECONDS: Final = 2.0
_STEP_SECONDS: Final = 1.0
"""Less is slewing, or the time between our two looks."""


class ClockSteps:
    """A thread that compares the clock with one that nobody sets. on_set_back: with the seconds that it was set back by."""

    def __init__(
        self,
        on_set_back: Callable[[float], object],
        *,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._on_set_back = on_set_back
        self._clock, self._steady = clock, steady
        self._look_seconds = look_seconds
        self._ahead = self._difference()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clock-steps", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def look(self) -> None:
        """Steps ahead need nobody: what has become due is due."""
        ahead = self._difference()
        back, self._ahead = self._ahead - ahead, ahead
        if back > _STEP_SECONDS:
            log_event(Event.CLOCK_SET_BACK, level="warning", duration_ms=round(1000 * back))
            self._on_set_back(back)

    def _difference(self) -> float:
        return self._clock() - self._steady()

    def _run(self) -> None:
        while not self._stop.wait(self._look_seconds):
            self.look()
