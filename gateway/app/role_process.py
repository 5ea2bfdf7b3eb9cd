"""One process of a role as its supervisor sees it."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from gateway.app.role import Role
from gateway.app.role_line import HAND_OVER, Phase, Told
from gateway.app.roles import run_role
from gateway.app.shared_counts import SharedCounts
from gateway.config import Settings
from gateway.domain.identifiers import owner_name

_CONTEXT: Final = multiprocessing.get_context("spawn")


class RoleProcess:
    """Started at once. sweeps, counts: see `run_role`."""

    def __init__(self, role: Role, settings: Settings, *, sweeps: bool = False, counts: SharedCounts | None = None) -> None:
        self.role = role
        self.counts = counts
        self.settings = settings
        self.started_at = time.monotonic()
        self.told = Told()
        self.was_ready = self.was_late = False
        self.kill_at: float | None = None
        """When the grace period of its end is over."""
        self._connection, theirs = _CONTEXT.Pipe()
        self._hears = True
        self._process = _CONTEXT.Process(target=run_role, args=(role, settings, sweeps, theirs, self.started_at, counts), name=role.value)
        with _without_interrupt():
            self._process.start()
        theirs.close()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def owner(self) -> str:
        """Under which it holds leases."""
        return owner_name(self.role.value, self.pid)

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.exitcode

    @property
    def waitables(self) -> list[object]:
        """Something can be done when one of these is ready: it has ended, or has told something."""
        return [self._process.sentinel, *([self._connection] if self._hears else [])]

    def hear(self) -> None:
        """Takes up what it has told."""
        try:
            while self._hears and self._connection.poll():
                self.told = Told.decoded(self._connection.recv_bytes())
                self.was_ready = self.was_ready or self.told.phase is Phase.READY
        except (EOFError, OSError, ValueError, KeyError):
            self._hears = False

    def end(self) -> None:
        """SIGTERM: it drains, for as long as its grace period."""
        self._process.terminate()
        self._limit()

    def hand_over(self) -> None:
        """A receiver: it stops listening at once, so that its successor can, and finishes its associations."""
        try:
            self._connection.send_bytes(HAND_OVER)
        except OSError:
            self._process.terminate()
        self._limit()

    def kill_when_late(self) -> None:
        """Where its grace period is over."""
        if self.kill_at is None or time.monotonic() < self.kill_at or self.exit_code is not None:
            return
        self.was_late = True
        self._process.kill()
        self._process.join()

    def wait(self, seconds: float) -> None:
        self._process.join(max(0.0, seconds))

    def close(self) -> None:
        """Of one that has ended: gives its descriptors back."""
        self._process.join()
        self._connection.close()

    def _limit(self) -> None:
        self.kill_at = time.monotonic() + self.settings.serve.grace_seconds


@contextmanager
def _without_interrupt() -> Iterator[None]:
    """A process started within ignores Ctrl-C from its first moment: the supervisor drains it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
