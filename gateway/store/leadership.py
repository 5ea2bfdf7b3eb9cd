"""Who does what only one of several processes need do: an advisory lock on PostgreSQL, a locked file beside a SQLite database.

Both end with their holder, also by kill -9. Leading saves work and is no safety: for a moment two may believe that they lead, so
whatever a leader does must be right when it is done twice (docs/adr/0023).
"""

from __future__ import annotations

import fcntl
import os
import threading
import zlib
from pathlib import Path
from typing import Final, Protocol

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from gateway.domain.duty import Duty
from gateway.store.database import Database

_CLASS: Final = 7223302
"""First half of the advisory lock's key, beside that of the migrations; the second half is the duty's."""
_KEEPALIVE: Final = ("tcp_keepalives_idle = 5", "tcp_keepalives_interval = 2", "tcp_keepalives_count = 3", "tcp_user_timeout = 11000")
"""A host that vanished without a word has lost its lock within about ten seconds, not after the two hours of the kernel's default."""


class Leadership(Protocol):
    """One process's candidature for one duty. Called by one thread at a time."""

    def leads(self) -> bool:
        """True while this process holds the duty; tries to take it when nobody does. Never raises for the database's sake."""
        ...

    def resign(self) -> None:
        """For good: a tick that is still under way does not take it again."""
        ...


class AdvisoryLock:
    """On PostgreSQL: held by the session of a connection of its own, and lost with it."""

    def __init__(self, database: Database, duty: Duty) -> None:
        self._database = database
        # crc32: the same number in every process and release
        self._key = {"class": _CLASS, "duty": zlib.crc32(duty.encode()) & 0x7FFFFFFF}
        self._connection: Connection | None = None
        self._holds = self._resigned = False
        self._lock = threading.Lock()

    def leads(self) -> bool:
        with self._lock:
            if self._resigned:
                return False
            try:
                return self._asked(self._connection or self._opened())
            except (DBAPIError, OSError):
                self._drop()
                return False

    def resign(self) -> None:
        with self._lock:
            self._resigned = True
            self._drop()

    def _asked(self, connection: Connection) -> bool:
        """A connection that answers is the session that took the lock, or asks for it again."""
        if self._holds:
            return bool(connection.scalar(text("SELECT 1")) == 1)
        self._holds = bool(connection.scalar(text("SELECT pg_try_advisory_lock(:class, :duty)"), self._key))
        return self._holds

    def _opened(self) -> Connection:
        connection = self._connection = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        # not handed on to others while it holds the lock, and closed for good afterwards
        connection.detach()
        for setting in _KEEPALIVE:
            connection.exec_driver_sql(f"SET {setting}")
        return connection

    def _drop(self) -> None:
        connection, self._connection, self._holds = self._connection, None, False
        if connection is None:
            return
        try:
            connection.close()
        except (DBAPIError, OSError):
            connection.invalidate()


class FileLock:
    """On SQLite: one machine, several processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._resigned = False
        self._lock = threading.Lock()

    def leads(self) -> bool:
        with self._lock:
            return not self._resigned and (self._descriptor is not None or self._taken())

    def _taken(self) -> bool:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def resign(self) -> None:
        with self._lock:
            self._resigned = True
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is not None:
                os.close(descriptor)


def leadership(database: Database, duty: Duty) -> Leadership:
    """The candidature that the database has."""
    if database.dialect == "postgresql":
        return AdvisoryLock(database, duty)
    return FileLock(Path(f"{database.engine.url.database}.{duty}.lock"))
