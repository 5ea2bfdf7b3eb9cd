"""kill -9 of a role, of the supervisor, or of all of them, every one to five seconds."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Final

from tests.soak.gateway import Gateway

ROLES: Final = ("receiver", "worker", "sender")
_SHARES: Final = {"receiver": 36, "worker": 28, "sender": 28, "supervisor": 4, "everything": 4}
_PAUSE_SECONDS: Final = (1.0, 5.0)


class Killer:
    """kills: signals that met a process, by role."""

    def __init__(self, gateway: Gateway, seed: str) -> None:
        self._gateway = gateway
        self._random = random.Random(seed)
        self.kills: Counter[str] = Counter()
        self.ended_by_itself: list[int] = []

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set; the gateway runs then."""
        while not stop.wait(self._random.uniform(*_PAUSE_SECONDS)):
            self.revive()
            self._strike()
        self.revive()

    def revive(self) -> None:
        """A `serve` that ended although nobody killed it is noted and started again."""
        code = self._gateway.exit_code
        if code is not None:
            self.ended_by_itself.append(code)
            self._gateway.launch()

    def _strike(self) -> None:
        """One victim; where it cannot be killed now, another role. Not the supervisor in its place: its roles would never get up."""
        victim = self._random.choices(list(_SHARES), list(_SHARES.values()))[0]
        if not self._hits(victim):
            any(self._hits(other) for other in self._random.sample(ROLES, len(ROLES)))

    def _hits(self, victim: str) -> bool:
        if victim in ("receiver", "sender"):
            return self._kill(victim)
        # else a worker whose start takes longer than a pause would never get anything done; with its supervisor it ends too
        pid = self._gateway.pid("worker")
        if pid is None or not self._gateway.is_useful(pid):
            return False
        if victim == "worker":
            return self._kill("worker")
        if victim == "everything":
            for role in ROLES:
                self._kill(role)
        self._gateway.kill_supervisor()
        self.kills["supervisor"] += 1
        self._gateway.launch()
        return True

    def _kill(self, role: str) -> bool:
        if not self._gateway.kill(role):
            return False
        self.kills[role] += 1
        return True
