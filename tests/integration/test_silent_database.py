"""PostgreSQL that answers late or not at all: nothing of the gateway waits for it for ever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from psycopg import OperationalError
from sqlalchemy import text
from sqlalchemy.engine import make_url

from gateway.errors import DatabaseUnavailableError
from gateway.store import postgresql, schema
from gateway.store.database import Database
from tests.peers.chaos_proxy import ChaosProxy, chaos_proxy
from tests.peers.postgresql import PostgresCluster


@pytest.fixture
def proxy(postgres: PostgresCluster) -> Iterator[ChaosProxy]:
    with chaos_proxy(postgres.port) as found:
        yield found


@pytest.fixture
def behind(postgres: PostgresCluster, proxy: ChaosProxy) -> Iterator[Database]:
    """A database whose every byte goes through the proxy."""
    url = make_url(postgres.new_database()).set(port=proxy.port).render_as_string(hide_password=False)
    with closing(Database(url)) as database:
        schema.ensure(database)
        yield database


def ask(database: Database) -> None:
    with database.reading() as session:
        session.execute(text("SELECT 1"))


def test_statement_that_is_never_answered_ends_and_the_next_one_has_another_connection(
    behind: Database, proxy: ChaosProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_ANSWER_SECONDS", 0.5)
    with pytest.raises(DatabaseUnavailableError), behind.transaction() as session:
        session.execute(text("SELECT 1"))
        proxy.stall()
        session.execute(text("SELECT 2"))
    proxy.flow()
    ask(behind)


def test_question_whether_a_connection_lives_is_given_up_soon(behind: Database, proxy: ChaosProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool asks it in autocommit; a transaction may take longer."""
    monkeypatch.setattr(postgresql, "_SHORT_ANSWER_SECONDS", 0.5)
    with behind.engine.connect() as connection:
        driver = connection.connection.dbapi_connection
        assert driver is not None
        proxy.stall()
        with pytest.raises(OperationalError):
            behind.engine.dialect.do_ping(driver)
        proxy.flow()
    ask(behind)


def test_slow_answers_are_waited_for(behind: Database, proxy: ChaosProxy) -> None:
    ask(behind)
    proxy.delay_seconds = 0.3
    ask(behind)


def test_pool_without_a_connection_left_is_a_database_that_cannot_be_asked(behind: Database) -> None:
    pool: Any = behind.engine.pool
    pool._timeout = 0.1
    with ExitStack() as stack:
        for _ in range(pool.size() + pool._max_overflow):
            stack.enter_context(behind.reading()).execute(text("SELECT 1"))
        with pytest.raises(DatabaseUnavailableError):
            ask(behind)
    ask(behind)
