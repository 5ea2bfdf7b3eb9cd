"""One commit for several threads: each meets its own outcome, and no one another's."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from gateway.domain.identifiers import new_id
from gateway.errors import DatabaseNotDurableError, DatabaseUnavailableError
from gateway.store.database import Database
from gateway.store.group_commit import GroupCommit
from gateway.store.receipts import Acceptance, Receipts
from gateway.store.tables import AuditEventRow, InstanceRow, JobRow, ReceiptRow
from tests.faults.waiting import happens
from tests.integration.store_samples import received
from tests.integration.test_store import KEEPS, count

Statements = Callable[[Session], Any]


def commits_of(database: Database) -> list[None]:
    """Grows by one with every commit."""
    seen: list[None] = []
    event.listen(database.engine, "commit", lambda _connection: seen.append(None))
    return seen


def together(group: GroupCommit, calls: list[Callable[[], Any]], *, hold: Statements) -> list[Future[Any]]:
    """Makes all calls wait for one that is under way, so that they go together after it."""
    begun, go = threading.Event(), threading.Event()

    def first(session: Session) -> None:
        begun.set()
        assert go.wait(20)
        hold(session)

    with ThreadPoolExecutor(len(calls) + 1) as pool:
        holding = pool.submit(group.run, first)
        assert begun.wait(20)
        futures = []
        for number, call in enumerate(calls, start=1):
            futures.append(pool.submit(call))
            while len(group._joined._waiting) < number:
                pass
        go.set()
    holding.result()
    return futures


def statement(session: Session) -> None:
    session.execute(text("SELECT 1"))


def test_lone_call_is_committed_when_it_returns(database: Database) -> None:
    commits = commits_of(database)
    assert GroupCommit(database).run(lambda session: session.scalar(text("SELECT 7"))) == 7
    assert len(commits) == 1


def test_instances_of_several_associations_share_one_commit_and_each_has_its_rows(database: Database) -> None:
    receipts = Receipts(database, "test", KEEPS)
    commits = commits_of(database)

    def take(number: int) -> Acceptance:
        instance_id = new_id()
        return receipts.commit(received(number, content=str(number)), instance_id=instance_id, file=f"f{number}", association_id=None)

    futures = together(receipts._group, [lambda number=number: take(number) for number in range(8)], hold=statement)
    assert [future.result() for future in futures] == [Acceptance.STORED] * 8
    assert len(commits) == 2
    assert [count(database, row) for row in (ReceiptRow, InstanceRow, JobRow)] == [8, 8, 8]
    with database.reading() as session:
        stored = session.scalars(select(AuditEventRow.instance_id).where(AuditEventRow.event == "instance:stored"))
        assert len(set(stored)) == 8


def test_same_instance_in_one_commit_is_stored_once(database: Database) -> None:
    receipts = Receipts(database, "test", KEEPS)

    def take(number: int) -> Acceptance:
        return receipts.commit(received(1), instance_id=new_id(), file=f"f{number}", association_id=None)

    futures = together(receipts._group, [lambda number=number: take(number) for number in range(4)], hold=statement)
    assert sorted(future.result() for future in futures) == [Acceptance.RECEIVED_AGAIN] * 3 + [Acceptance.STORED]
    assert [count(database, row) for row in (ReceiptRow, InstanceRow, JobRow)] == [4, 1, 1]


@pytest.mark.parametrize("bad", [0, 2, 4])
def test_bad_item_fails_alone(database: Database, bad: int) -> None:
    receipts = Receipts(database, "test", KEEPS)

    def take(number: int) -> Acceptance:
        # a foreign key to an association that does not exist: refused by the database at the flush
        association = "nobody" if number == bad else None
        return receipts.commit(received(number, content=str(number)), instance_id=new_id(), file=f"f{number}", association_id=association)

    futures = together(receipts._group, [lambda number=number: take(number) for number in range(5)], hold=statement)
    for number, future in enumerate(futures):
        if number == bad:
            assert isinstance(future.exception(), IntegrityError)
        else:
            assert future.result() is Acceptance.STORED
    assert [count(database, row) for row in (ReceiptRow, InstanceRow, JobRow)] == [4, 4, 4]


def test_failed_commit_fails_all_that_were_in_it(database: Database) -> None:
    group = GroupCommit(database)
    commits = commits_of(database)

    def fail_second(_connection: object) -> None:
        if len(commits) == 2:
            raise OperationalError("COMMIT", {}, sqlite3.OperationalError("disk I/O error"))

    event.listen(database.engine, "commit", fail_second)
    futures = together(group, [lambda: group.run(statement)] * 3, hold=statement)
    assert all(isinstance(future.exception(), DatabaseUnavailableError) for future in futures)
    group.run(statement)


def test_transaction_that_cannot_begin_fails_all_at_once(database: Database) -> None:
    group = GroupCommit(database)
    begins: list[None] = []

    def locked(_connection: object) -> None:
        begins.append(None)
        if len(begins) > 1:
            raise OperationalError("BEGIN", {}, sqlite3.OperationalError("database is locked"))

    event.listen(database.engine, "begin", locked)
    futures = together(group, [lambda: group.run(statement)] * 5, hold=statement)
    assert all(isinstance(future.exception(), DatabaseUnavailableError) for future in futures)
    assert len(begins) == 2


def test_lost_connection_fails_all_at_once(database: Database) -> None:
    group = GroupCommit(database)
    attempts: list[None] = []

    def broken(_session: Session) -> None:
        attempts.append(None)
        raise OperationalError("SELECT", {}, RuntimeError("gone"), connection_invalidated=True)

    futures = together(group, [lambda: group.run(broken)] * 5, hold=statement)
    assert all(isinstance(future.exception(), DatabaseUnavailableError) for future in futures)
    assert len(attempts) == 1


def test_after_a_failed_fsync_of_the_database_nothing_is_tried_again(database: Database) -> None:
    group = GroupCommit(database)
    commits = commits_of(database)

    def broken(_session: Session) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
        raise OperationalError("COMMIT", {}, error)

    futures = together(group, [lambda: group.run(broken), lambda: group.run(statement)], hold=statement)
    assert all(isinstance(future.exception(), DatabaseNotDurableError) for future in futures)
    with pytest.raises(DatabaseNotDurableError):
        group.run(statement)
    assert len(commits) == 1


def test_result_of_each_call_is_its_own(database: Database) -> None:
    group = GroupCommit(database)
    futures = together(group, [lambda number=number: group.run(lambda _session: number) for number in range(6)], hold=statement)
    assert [future.result() for future in futures] == list(range(6))


def test_failed_fsync_of_any_transaction_ends_all_writing_to_the_database_and_no_reading(database: Database) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
    assert not database.broken
    with pytest.raises(DatabaseNotDurableError), database.transaction():
        raise OperationalError("COMMIT", {}, error)
    assert database.broken
    with pytest.raises(DatabaseNotDurableError), database.transaction() as session:
        statement(session)
    with pytest.raises(DatabaseNotDurableError):
        GroupCommit(database).run(statement)
    with database.reading() as session:
        statement(session)


def test_transaction_under_way_is_not_committed_after_an_fsync_failed_in_another(database: Database) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
    commits = commits_of(database)
    with pytest.raises(DatabaseNotDurableError), database.transaction() as session:
        statement(session)
        with pytest.raises(DatabaseNotDurableError), database.transaction():
            raise OperationalError("COMMIT", {}, error)
    assert commits == []


def test_who_waited_in_line_while_the_database_refused_is_refused_with_the_others(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.group_commit._WAITED_ENOUGH_SECONDS", 0.0)
    begins, asked, refuse = [], threading.Event(), threading.Event()

    def locked(_connection: object) -> None:
        begins.append(None)
        asked.set()
        assert refuse.wait(30)
        raise OperationalError("BEGIN", {}, sqlite3.OperationalError("database is locked"))

    group = GroupCommit(database)
    event.listen(database.engine, "begin", locked)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(group.run, statement)
        assert asked.wait(30)
        second = pool.submit(group.run, statement)
        happens(lambda: len(group._joined._waiting) == 1, 30)
        refuse.set()
        for call in (first, second):
            with pytest.raises(DatabaseUnavailableError):
                call.result(30)
    assert len(begins) == 1
    event.remove(database.engine, "begin", locked)
    group.run(statement)
