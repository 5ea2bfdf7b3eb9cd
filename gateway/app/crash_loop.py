"""Whether a role dies again and again. It is started again all the same: the alarm calls a person, who may take a while."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from gateway.config.sections import ServeSettings


@dataclass(slots=True)
class CrashLoop:
    """The deaths of one role's processes, by time.monotonic()."""

    _deaths: deque[float] = field(default_factory=deque)
    standing: bool = False

    def died(self, now: float, settings: ServeSettings) -> None:
        """Begins with `crash_loop_deaths` deaths within `crash_loop_seconds`."""
        self._deaths.append(now)
        while now - self._deaths[0] > settings.crash_loop_seconds:
            self._deaths.popleft()
        if len(self._deaths) >= settings.crash_loop_deaths:
            self.standing = True

    def lives(self, now: float, settings: ServeSettings) -> None:
        """Ends once the role has been ready, without a death, for `crash_loop_seconds`."""
        if self.standing and now - self._deaths[-1] > settings.crash_loop_seconds:
            self.standing = False
