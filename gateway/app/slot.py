"""One place of a role in a supervisor: the process that fills it now, its successor, those that still drain; and its history."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.app.changes import touched_roles
from gateway.app.crash_loop import CrashLoop
from gateway.app.role import Role
from gateway.app.role_line import Phase
from gateway.app.role_process import RoleProcess
from gateway.app.shared_counts import CountRows
from gateway.config import Settings
from gateway.domain.readiness import Cause, Hindrance
from gateway.workers.retry import Backoff

_STABLE_SECONDS: Final = 60.0


@dataclass(slots=True)
class Slot:
    role: Role
    number: int = 1
    """Among the receivers of one supervisor."""
    sweeps: bool = False
    """The next process puts the spool in order: the first receiver, and every one whose predecessor has died."""
    process: RoleProcess | None = None
    successor: RoleProcess | None = None
    """A receiver that gets ready while `process` still listens."""
    leaving: list[RoleProcess] = field(default_factory=list)
    """Asked to end, and draining."""
    rows: CountRows | None = None
    """Of a receiver: where its processes count."""
    crash_loop: CrashLoop = field(default_factory=CrashLoop)
    deaths: int = 0
    start_at: float = 0.0

    @property
    def name(self) -> str:
        return self.role.value if self.number == 1 else f"{self.role.value}-{self.number}"

    @property
    def subject(self) -> str:
        """Of alarms."""
        return f"{socket.gethostname()}:{self.name}"

    @property
    def processes(self) -> Iterator[RoleProcess]:
        yield from self.leaving
        yield from (one for one in (self.process, self.successor) if one is not None)

    @property
    def is_settled(self) -> bool:
        """Nothing of it is on its way in or out. A role that waits to be started again holds nobody up."""
        starting = self.process is not None and self.process.told.phase is not Phase.READY
        return not (self.leaving or self.successor or starting)

    def start_if_due(self, settings: Settings) -> None:
        if self.process is None and not self.leaving and time.monotonic() >= self.start_at:
            self.process = self._started(settings)

    def is_stale(self, wanted: Settings) -> bool:
        """Its process works by settings that have changed for its role, and may be replaced now."""
        if self.process is None or self.process.settings is wanted or time.monotonic() < self.start_at:
            return False
        return self.role in touched_roles(self.process.settings, wanted)

    def renew(self, wanted: Settings) -> None:
        """A receiver's successor is started beside it, so that the port is never closed for long; other roles are drained first:
        two models at once may not fit into the memory."""
        if self.role is Role.RECEIVER:
            self.successor = self._started(wanted)
        elif self.process is not None:
            self.process.end()
            self._leave(self.process)
            self.process, self.start_at = None, 0.0

    def hand_over_if_due(self) -> None:
        if self.successor is None or self.successor.told.phase is Phase.STARTING:
            return
        if self.process is not None:
            self.process.hand_over()
            self._leave(self.process)
        self.process, self.successor = self.successor, None

    def ended(self, process: RoleProcess) -> bool:
        """Takes out a process that has ended. True when nobody had asked it to."""
        process.close()
        if self.rows is not None and process.counts is not None:
            self.rows.give_back(process.counts)
        if process in self.leaving:
            self.leaving.remove(process)
            return False
        if process is self.successor:
            self.successor = None
        else:
            self.process, self.successor = self.successor, None
        self.sweeps = self.role is Role.RECEIVER
        return True

    def died(self, process: RoleProcess, settings: Settings) -> None:
        """Counts a death: the next start waits longer."""
        now, serve = time.monotonic(), settings.serve
        self.deaths = 1 if now - process.started_at > _STABLE_SECONDS else self.deaths + 1
        backoff = Backoff(first_seconds=serve.restart_first_seconds, max_seconds=serve.restart_max_seconds)
        self.start_at = now + backoff.delay(self.deaths, 0.0)
        self.crash_loop.died(now, serve)

    def forgive(self) -> None:
        """The configuration has changed: it may be started again at once."""
        self.deaths, self.start_at = 0, 0.0

    def hindrances(self) -> Iterator[Hindrance]:
        """What stands against this role's work."""
        if self.process is None:
            yield Hindrance(cause=Cause.ROLE_DOWN, subject=self.name)
        elif self.process.told.phase is not Phase.READY:
            yield Hindrance(cause=Cause.ROLE_STARTING, subject=self.name)
        else:
            yield from (Hindrance(cause=cause, subject=self.name) for cause in self.process.told.causes)

    def _started(self, settings: Settings) -> RoleProcess:
        counts = self.rows.take(settings.peers) if self.rows is not None else None
        process = RoleProcess(self.role, settings, sweeps=self.sweeps, counts=counts)
        self.sweeps = False
        return process

    def _leave(self, process: RoleProcess) -> None:
        self.leaving.append(process)


def slots_for(settings: Settings, roles: Sequence[Role]) -> list[Slot]:
    """In the order in which a changed configuration is taken up: the worker first, which may refuse it, the receivers last."""
    rows = CountRows(settings.receiver.processes)
    receivers = [Slot(Role.RECEIVER, number, sweeps=number == 1, rows=rows) for number in range(1, settings.receiver.processes + 1)]
    others = [Slot(role) for role in (Role.WORKER, Role.SENDER) if role in roles]
    return [*others, *(receivers if Role.RECEIVER in roles else [])]
