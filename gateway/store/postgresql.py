"""Connections to PostgreSQL that never wait for ever. Imported with a PostgreSQL URL only: psycopg is an extra of the package."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text

_OPTIONS: Final = "-c synchronous_commit=on -c statement_timeout=30000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=60000"
_ANSWER_SECONDS: Final = 35.0
"""Longer than `statement_timeout`: a server that lives has answered by then, be it with an error."""
_SHORT_ANSWER_SECONDS: Final = 5.0
"""Outside a transaction we only ask whether a connection lives, take advisory locks and listen."""
_MIGRATION_SECONDS: Final = 6 * 3600.0
_TCP: Final = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 11_000}
"""A host that vanished without a word is noticed within about ten seconds, not after the two hours of the kernel's default."""


class ImpatientConnection(psycopg.Connection[Any]):
    """`statement_timeout` is the server's, and `connect_timeout` ends with the connection: neither ends a wait for a server that stands
    still, or for a network that swallows what is sent."""

    answer_seconds: float = _ANSWER_SECONDS
    """In a transaction."""

    def wait(self, gen: Generator[Any, Any, Any], *arguments: Any, **named: Any) -> Any:
        """OperationalError, and the connection is closed, when the server has not answered in time."""
        seconds = _SHORT_ANSWER_SECONDS if self.autocommit else self.answer_seconds
        return super().wait(self._limited(gen, seconds), *arguments, **named)

    def _limited(self, gen: Generator[Any, Any, Any], seconds: float) -> Generator[Any, Any, Any]:
        """The same generator with an end. psycopg resumes it several times a second while nothing comes."""
        ends, wanted = time.monotonic() + seconds, None
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > ends:
                    self.pgconn.finish()
                    raise psycopg.OperationalError("no answer in time")
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value


def postgresql_engine(url: str) -> Engine:
    # hide_parameters: an error's text must not quote a row, which holds patient ids
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=10,
        max_overflow=20,
        connect_args={"options": _OPTIONS, "connect_timeout": 10, **_TCP},
    )
    event.listen(engine, "do_connect", _connect)
    return engine


def _connect(_dialect: object, _record: object, arguments: list[Any], parameters: dict[str, Any]) -> ImpatientConnection:
    return ImpatientConnection.connect(*arguments, **parameters)


@contextmanager
def patiently(connection: Connection) -> Iterator[None]:
    """For the transaction of a migration: a table of millions of rows takes its time, and another process may be at it before us."""
    driver = connection.connection.driver_connection
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text("SET LOCAL lock_timeout = 0"))
    if isinstance(driver, ImpatientConnection):
        driver.answer_seconds = _MIGRATION_SECONDS
    try:
        yield
    finally:
        if isinstance(driver, ImpatientConnection):
            driver.answer_seconds = _ANSWER_SECONDS
