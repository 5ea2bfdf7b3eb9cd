"""Whether this supervisor's roles can do their work: asked over HTTP, written into the store for `status`, and never guessed."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.domain.alarm import Alarm, AlarmCode
from gateway.domain.identifiers import owner_name
from gateway.domain.readiness import Cause, Hindrance, SupervisorStory, from_alarms
from gateway.errors import DatabaseNotDurableError, GatewayError
from gateway.store.alarms import Alarms
from gateway.store.database import Database
from gateway.store.supervisors import Supervisors

_LOOK_SECONDS: Final = 2.0
_TELL_AGAIN: Final = timedelta(seconds=10)
_NO_ANSWER_SECONDS: Final = 20.0
"""The store has not answered one look for so long."""
_HANGS_SECONDS: Final = 60.0
"""The supervisor's own loop has not come round for so long."""
_OWN: Final = (AlarmCode.CRASH_LOOP, AlarmCode.CONFIGURATION_REFUSED)
"""The alarms that supervisors raise."""


class Readiness:
    """What the supervisor's loop says of its roles, and what a thread of its own finds in the store.

    The loop never waits for the store for this: alarms that it wants raised are raised by the thread, as soon as that can be done.
    """

    def __init__(self, database: Database, roles: Sequence[str]) -> None:
        self._database = database
        self._host = socket.gethostname()
        self._name = owner_name("supervisor")
        self._roles = tuple(roles)
        self._started_at = datetime.now(UTC)
        self._alarms = Alarms(database, self._name)
        self._supervisors = Supervisors(database)
        self._of_roles: tuple[Hindrance, ...] = tuple(Hindrance(cause=Cause.ROLE_STARTING, subject=role) for role in roles)
        self._of_store: tuple[Hindrance, ...] = ()
        self._wanted: frozenset[tuple[AlarmCode, str]] = frozenset()
        self._config_hash = ""
        self._said_at = self._answered_at = time.monotonic()
        self._told: tuple[tuple[Hindrance, ...], str] | None = None
        self._told_at = self._started_at
        self._changed = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="readiness", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """This supervisor ends: nobody shall miss it."""
        self._stop.set()
        self._changed.set()
        self._thread.join(_LOOK_SECONDS)
        with suppress(GatewayError):
            self._supervisors.remove(self._name)

    def say(self, hindrances: Sequence[Hindrance], alarms: frozenset[tuple[AlarmCode, str]], config_hash: str) -> None:
        """Each round of the supervisor's loop. alarms: (code, subject) of those that should stand."""
        self.lives()
        found = tuple(hindrances)
        if (found, alarms, config_hash) != (self._of_roles, self._wanted, self._config_hash):
            self._of_roles, self._wanted, self._config_hash = found, alarms, config_hash
            self._changed.set()

    def lives(self) -> None:
        """The supervisor's thread goes on, also where it has nothing new to say."""
        self._said_at = time.monotonic()

    def hindrances(self) -> tuple[Hindrance, ...]:
        """Empty = ready. Answers at once, also when the store does not."""
        silent = time.monotonic() - self._answered_at > _NO_ANSWER_SECONDS
        store = (Hindrance(cause=Cause.DATABASE_DOWN),) if silent else self._of_store
        return tuple(dict.fromkeys((*self._of_roles, *store)))

    def is_alive(self) -> bool:
        return time.monotonic() - self._said_at < _HANGS_SECONDS

    def _run(self) -> None:
        while not self._stop.is_set():
            self._look()
            self._changed.wait(_LOOK_SECONDS)
            self._changed.clear()

    def _look(self) -> None:
        try:
            self._of_store = from_alarms(self._settled_alarms(), self._host)
            self._tell()
        except DatabaseNotDurableError:
            self._of_store = (Hindrance(cause=Cause.DATABASE_BROKEN),)
        except GatewayError:
            self._of_store = (Hindrance(cause=Cause.DATABASE_DOWN),)
        self._answered_at = time.monotonic()

    def _settled_alarms(self) -> tuple[Alarm, ...]:
        """Those that stand, after our own have been raised and cleared. A predecessor's go with it."""
        standing = self._alarms.standing()
        changes = [self._alarms.raise_(*wanted) for wanted in self._wanted - {(alarm.code, alarm.subject) for alarm in standing}]
        changes += [
            self._alarms.clear(alarm.code, alarm.subject)
            for alarm in standing
            if alarm.code in _OWN and (alarm.code, alarm.subject) not in self._wanted and self._is_ours(alarm)
        ]
        return self._alarms.standing() if changes else standing

    def _is_ours(self, alarm: Alarm) -> bool:
        return alarm.raised_by == self._name or is_gone(alarm.raised_by)

    def _tell(self) -> None:
        now = datetime.now(UTC)
        found = (self.hindrances(), self._config_hash)
        # below zero: the clock was set back
        if found == self._told and timedelta(0) <= now - self._told_at < _TELL_AGAIN:
            return
        story = SupervisorStory(
            name=self._name,
            host=self._host,
            roles=self._roles,
            config_hash=self._config_hash,
            started_at=self._started_at,
            seen_at=now,
            hindrances=found[0],
        )
        self._supervisors.tell(story, gone=is_gone)
        self._told, self._told_at = found, now


def is_gone(name: str) -> bool:
    """True for a process of this host, by its `owner_name`, that does not run any more. Of other hosts nothing is known."""
    host, _, pid = name.rpartition(":")
    if host.partition(":")[0] != socket.gethostname() or not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
