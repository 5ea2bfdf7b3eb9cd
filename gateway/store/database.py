"""Connections and transactions on SQLite and PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from gateway.errors import (
    ConfigurationError,
    DatabaseDamagedError,
    DatabaseNotDurableError,
    DatabaseUnavailableError,
    TransactionVictimError,
)

_READING = "strnet_reading"
_GIVEN_UP = ("40P01", "40001")
"""SQLSTATE of deadlock_detected and serialization_failure: the transaction is undone, and the same one may succeed."""
_DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg")
_USE = "use sqlite:/// and a path, or postgresql+psycopg://user:password@host/name"
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_FSYNC_FAILED = ("SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC")


class Database:
    """One engine. `transaction()` writes, `reading()` reads; both end before they return to the caller's package."""

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self.broken = False
        """True once an fsync has failed: from then on this process writes nothing more, whoever met the failure."""

    @property
    def engine(self) -> Engine:
        return self._engine

    @property
    def dialect(self) -> str:
        return self._engine.dialect.name

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A write transaction, committed at the end of the block and durable then. DatabaseUnavailableError when it is not,
        DatabaseNotDurableError when that is because an fsync failed, now or earlier."""
        self._check()
        try:
            with _translated(), Session(self._engine, expire_on_commit=False) as session, session.begin():
                yield session
                self._check()
        except DatabaseNotDurableError:
            self.broken = True
            raise
        # another one's may have failed during this commit
        self._check()

    def _check(self) -> None:
        if self.broken:
            raise DatabaseNotDurableError("an earlier fsync failed")

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A read-only view; takes no write lock on SQLite."""
        with _translated(), Session(self._engine, expire_on_commit=False) as session, session.begin():
            session.connection(execution_options={_READING: True})
            yield session

    def close(self) -> None:
        self._engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        if getattr(error.orig, "sqlite_errorname", "") in _FSYNC_FAILED:
            raise DatabaseNotDurableError(type(error.orig).__name__) from error
        if getattr(error.orig, "sqlstate", "") in _GIVEN_UP:
            raise TransactionVictimError(type(error.orig).__name__) from error
        raise DatabaseUnavailableError(type(error.orig).__name__) from error
    except PoolTimeoutError as error:
        # every connection is waiting for the server
        raise DatabaseUnavailableError(type(error).__name__) from error
    except DBAPIError as error:
        if _is_damaged(error.orig):
            raise DatabaseDamagedError(type(error.orig).__name__) from error
        if error.connection_invalidated:
            raise DatabaseUnavailableError(type(error.orig).__name__) from error
        raise
    except sqlite3.DatabaseError as error:
        # from the pragmas of a new connection, where SQLAlchemy does not translate
        if _is_damaged(error):
            raise DatabaseDamagedError(type(error).__name__) from error
        raise


def _is_damaged(error: BaseException | None) -> bool:
    """SQLITE_CORRUPT_INDEX and its like are kinds of SQLITE_CORRUPT."""
    return str(getattr(error, "sqlite_errorname", "")).startswith(_DAMAGED)


def check_url(url: str) -> None:
    """ConfigurationError for a URL that this installation cannot use, whatever its server says. Nothing is opened or written."""
    if _backend(url) == "postgresql":
        _postgresql(url).dispose()


def _engine(url: str) -> Engine:
    return _sqlite(url) if _backend(url) == "sqlite" else _postgresql(url)


def _backend(url: str) -> str:
    found = parsed(url)
    if found.drivername not in _DRIVERS:
        raise ConfigurationError(f"database.url: {found.drivername} is not supported; {_USE}")
    return found.get_backend_name()


def parsed(url: str) -> URL:
    """ConfigurationError, which does not quote it, for what is no URL."""
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:
        # its text would quote a password
        raise ConfigurationError(f"database.url is no URL of a database; {_USE}") from error


def _postgresql(url: str) -> Engine:
    try:
        # an extra of the package
        from gateway.store.postgresql import postgresql_engine
    except ImportError as error:
        raise ConfigurationError(
            "database.url: PostgreSQL needs psycopg, which is not installed; install this package with its extra, pip install '.[postgres]'"
        ) from error
    return postgresql_engine(url)


def database_file(url: str) -> Path | None:
    """The file of a SQLite database; None of any other, and of one in memory."""
    found = parsed(url)
    in_file = found.get_backend_name() == "sqlite" and found.database not in (None, "", ":memory:")
    return Path(str(found.database)) if in_file else None


def _sqlite(url: str) -> Engine:
    file = database_file(url)
    if file is not None:
        _make_folder(file.parent)
    # hide_parameters: an error's text must not quote a row, which holds patient ids
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": 10, "check_same_thread": False})
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    return engine


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"database.url: the folder {folder} cannot be made: {error.strerror}") from error


def _set_pragmas(connection: Any, _record: object) -> None:
    """WAL with FULL: a commit is on the disk when it returns. recursive_triggers: INSERT OR REPLACE cannot pass the audit's triggers."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "busy_timeout=10000",
        "foreign_keys=ON",
        "recursive_triggers=ON",
        "wal_autocheckpoint=1000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    """A write transaction takes its lock at once: a deferred one that reads first fails with `database is locked`."""
    reading = connection.get_execution_options().get(_READING, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
