"""SIGHUP: who sent it, and whether the configuration that lies there now can be taken up."""

from __future__ import annotations

import pwd
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Final

from gateway.app.changes import fixed_keys
from gateway.app.preflight import prepare
from gateway.app.role import Role
from gateway.config import Settings
from gateway.errors import FixedSettingError
from gateway.receive.tls import new_context

_NOBODY: Final = "operator:unknown"


class HangUps:
    """SIGHUP is blocked, in this process and in all that it starts, and taken by a thread: only so does one learn who sent it.

    Every thread must block it, also those that libraries start when they are imported: gateway/cli/hang_ups.py.
    """

    def __init__(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        self._lock = threading.Lock()
        self._sender: str | None = None

    def listen(self) -> None:
        threading.Thread(target=self._listen, name="hang-up", daemon=True).start()

    def take(self) -> str | None:
        """The actor of the last signal that nobody has taken; None without one. Several at once count as one."""
        with self._lock:
            sender, self._sender = self._sender, None
            return sender

    def _listen(self) -> None:
        while True:
            found = signal.sigwaitinfo({signal.SIGHUP})
            with self._lock:
                self._sender = _actor(found.si_uid) if found.si_pid else _NOBODY


def _actor(uid: int) -> str:
    try:
        return f"operator:{pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"operator:{uid}"


def accepted(read: Callable[[], Settings], before: Settings, roles: Sequence[Role], *, actor: str) -> Settings:
    """The configuration as it lies there now, when these roles may work by it. GatewayError says why not."""
    after = read()
    fixed = fixed_keys(before, after)
    if fixed:
        raise FixedSettingError(", ".join(fixed), keys=fixed)
    if Role.RECEIVER in roles and after.tls.required:
        new_context(after.tls)
    # the supervisor looks after its roles by the same thread: it must not stand still for as long as a large file takes
    prepare(after, actor=actor, reads_whole_database=False)
    return after
