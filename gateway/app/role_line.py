"""The line between a role's process and its supervisor: the role tells how far it is and what stands against its work."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing.connection import Connection
from typing import Final

from gateway.domain.readiness import Cause

HAND_OVER: Final = b"hand_over"
"""What the supervisor may say: a successor waits for the port; stop listening at once and finish what is open."""


class Phase(StrEnum):
    STARTING = "starting"
    STANDBY = "standby"
    """Everything is there but the port, which another process still has."""
    READY = "ready"


@dataclass(frozen=True, slots=True)
class Told:
    """The last word of a role. causes: what stands against its work although its process runs."""

    phase: Phase = Phase.STARTING
    causes: tuple[Cause, ...] = ()

    def encoded(self) -> bytes:
        return json.dumps({"phase": self.phase, "causes": self.causes}).encode()

    @staticmethod
    def decoded(content: bytes) -> Told:
        """ValueError or KeyError for what no role says."""
        said = json.loads(content)
        return Told(Phase(said["phase"]), tuple(Cause(cause) for cause in said["causes"]))


class RoleLine:
    """The role's end. Without a supervisor it leads nowhere."""

    def __init__(self, connection: Connection | None = None, started_at: float | None = None) -> None:
        """started_at: time.monotonic() when the process was begun; Linux has one such clock for all processes."""
        self._connection = connection
        self._started_at = time.monotonic() if started_at is None else started_at
        self._told = Told()
        self.handing_over = threading.Event()

    def listen(self, stop: threading.Event) -> None:
        """Sets `stop` when the supervisor asks for the hand-over, or is gone: a role must not outlive it, however it died."""
        if self._connection is not None:
            threading.Thread(target=self._listen, args=(self._connection, stop), name="supervisor-line", daemon=True).start()

    def _listen(self, connection: Connection, stop: threading.Event) -> None:
        try:
            if connection.recv_bytes() == HAND_OVER:
                self.handing_over.set()
        except (EOFError, OSError):
            pass
        stop.set()

    def standby(self) -> None:
        self._tell(Told(Phase.STANDBY))

    def ready(self) -> int:
        """Milliseconds since the process was begun."""
        self._tell(Told(Phase.READY))
        return round(1000 * (time.monotonic() - self._started_at))

    def hindered(self, causes: Sequence[Cause]) -> None:
        """Of a role that is ready: what stands against its work now. Told when it changes."""
        self._tell(Told(Phase.READY, tuple(causes)))

    def _tell(self, told: Told) -> None:
        if self._connection is None or told == self._told:
            return
        self._told = told
        try:
            self._connection.send_bytes(told.encoded())
        except OSError:
            # the supervisor is gone, and _listen has seen it
            return
