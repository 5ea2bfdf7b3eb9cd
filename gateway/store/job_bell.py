"""Waking idle workers: PostgreSQL tells of every job that waits (LISTEN/NOTIFY), SQLite is looked at again after a moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

from sqlalchemy.exc import DBAPIError

from gateway.domain.job import JobKind
from gateway.events import Event, log_event
from gateway.store.database import Database
from gateway.store.job_queue import JobQueue

CHANNEL: Final = "strnet_job"
"""The trigger of migration 0005 notifies it with the job's kind, in the transaction that makes the job wait."""
_LOOK_ANYWAY_SECONDS: Final = 5.0
"""However silent the bell: a notification that was lost never costs more than this."""
_STOP_SECONDS: Final = 0.5
"""How long SIGTERM may go unnoticed; costs no query."""
_RECONNECT_SECONDS: Final = 1.0


class JobBell(Protocol):
    """What an idle lane waits for."""

    def wait(self, kinds: Sequence[JobKind], stop: threading.Event, *, lane: str | None = None) -> None:
        """Returns when a job of these kinds may be due, or `stop` is set. Raises DatabaseUnavailableError. lane: see `JobQueue.claim`."""
        ...


class PollingBell:
    """Rings every so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def wait(self, kinds: Sequence[JobKind], stop: threading.Event, *, lane: str | None = None) -> None:  # noqa: ARG002  whoever asks
        stop.wait(self._seconds)


class ListeningBell:
    """One connection and one thread per process, however many lanes wait."""

    def __init__(self, database: Database, queue: JobQueue) -> None:
        self._database = database
        self._queue = queue
        self._driver_error: type[Exception] = database.engine.dialect.loaded_dbapi.Error
        self._rung = threading.Condition()
        self._rings: dict[str, int] = {}
        self._heard: dict[tuple[int, tuple[JobKind, ...]], int] = {}
        self._closed = threading.Event()
        self.listening = threading.Event()
        """Set while a connection listens."""
        self._thread = threading.Thread(target=self._listen, name="job-bell", daemon=True)
        self._thread.start()

    def wait(self, kinds: Sequence[JobKind], stop: threading.Event, *, lane: str | None = None) -> None:
        """What rang since the last call has been looked at by then, so it returns at once only for news."""
        due = self._queue.seconds_until_due(kinds, lane=lane)
        deadline = time.monotonic() + min(_LOOK_ANYWAY_SECONDS, _LOOK_ANYWAY_SECONDS if due is None else due)
        # by thread: what one lane has heard another one of the same kinds has not
        listener = (threading.get_ident(), tuple(kinds))
        with self._rung:
            while not stop.is_set() and self._count(kinds) == self._heard.get(listener, 0) and (left := deadline - time.monotonic()) > 0:
                self._rung.wait(min(left, _STOP_SECONDS))
            self._heard[listener] = self._count(kinds)

    def close(self) -> None:
        self._closed.set()
        self._thread.join(2 * _STOP_SECONDS)

    def _count(self, kinds: Sequence[JobKind]) -> int:
        return sum(self._rings.get(kind, 0) for kind in kinds)

    def _ring(self, kinds: Sequence[str]) -> None:
        with self._rung:
            for kind in kinds:
                self._rings[kind] = self._rings.get(kind, 0) + 1
            self._rung.notify_all()

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                with self._connection() as connection:
                    self.listening.set()
                    # what came before it listened
                    self._ring(tuple(JobKind))
                    while not self._closed.is_set():
                        self._ring([notice.payload for notice in connection.notifies(timeout=_STOP_SECONDS, stop_after=1)])
            except (DBAPIError, self._driver_error, OSError) as error:
                log_event(Event.JOB_CLAIMED, level="warning", error_class=type(error).__name__, reason="not listening")
            self.listening.clear()
            self._closed.wait(_RECONNECT_SECONDS)

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        """The driver's own connection, in autocommit: one of the engine's pool would begin a transaction."""
        with self._database.engine.connect() as connection:
            listening = connection.execution_options(isolation_level="AUTOCOMMIT")
            driver = listening.connection.driver_connection
            listening.exec_driver_sql(f"LISTEN {CHANNEL}")
            # closed afterwards, not handed on to others while it listens
            listening.detach()
            yield driver


@contextmanager
def job_bell(database: Database, queue: JobQueue, *, poll_seconds: float) -> Iterator[JobBell]:
    """The bell that the database has."""
    if database.dialect != "postgresql":
        yield PollingBell(poll_seconds)
        return
    bell = ListeningBell(database, queue)
    try:
        yield bell
    finally:
        bell.close()
