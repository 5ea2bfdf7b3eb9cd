"""Idle workers on PostgreSQL are woken by the job itself; on SQLite they look again after a moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.domain.job import JobKind
from gateway.store import job_bell as bells
from gateway.store import schema
from gateway.store.database import Database
from gateway.store.job_bell import ListeningBell, PollingBell, job_bell
from gateway.store.job_queue import JobQueue, enqueue
from tests.peers.postgresql import PostgresCluster

LOOKS_ANYWAY = 3600.0
BOUND = 20
"""Only bounds a test that fails."""


@pytest.fixture
def database(postgres: PostgresCluster) -> Iterator[Database]:
    found = Database(postgres.new_database())
    schema.ensure(found)
    yield found
    found.close()


@pytest.fixture
def queue(database: Database) -> JobQueue:
    return JobQueue(database, lease_seconds=60, max_lease_expiries=3)


@pytest.fixture
def bell(database: Database, queue: JobQueue, monkeypatch: pytest.MonkeyPatch) -> Iterator[ListeningBell]:
    monkeypatch.setattr(bells, "_LOOK_ANYWAY_SECONDS", LOOKS_ANYWAY)
    found = ListeningBell(database, queue)
    assert found.listening.wait(BOUND)
    yield found
    found.close()


def forget_what_rang(bell: ListeningBell, kinds: tuple[JobKind, ...]) -> None:
    at_once = threading.Event()
    at_once.set()
    bell.wait(kinds, at_once)


def woken(bell: ListeningBell, kinds: tuple[JobKind, ...], act: Callable[[], None]) -> bool:
    """True when a lane that has nothing to do returns from its wait after the act."""
    stop, began, returned = threading.Event(), threading.Event(), threading.Event()
    forget_what_rang(bell, kinds)

    def lane() -> None:
        began.set()
        bell.wait(kinds, stop)
        if not stop.is_set():
            returned.set()

    thread = threading.Thread(target=lane)
    thread.start()
    began.wait(BOUND)
    act()
    came = returned.wait(BOUND)
    stop.set()
    thread.join(BOUND)
    assert not thread.is_alive()
    return came


def add(database: Database, kind: JobKind = JobKind.ANALYZE_INSTANCE, *, due_in: float = 0.0) -> None:
    with database.transaction() as session:
        enqueue(session, kind, f"{kind}-{due_in}", "1.2", actor="test", next_at=datetime.now(UTC) + timedelta(seconds=due_in))


def test_new_job_wakes_a_lane_of_its_kind(bell: ListeningBell, database: Database) -> None:
    assert woken(bell, (JobKind.ANALYZE_INSTANCE,), lambda: add(database))


def test_row_that_was_written_without_this_code_wakes_too(bell: ListeningBell, database: Database) -> None:
    statement = text(
        "INSERT INTO job (kind, subject, study_instance_uid, state, attempts, lease_expiries, fence, created_at, next_at)"
        " VALUES ('report_study', '1.2', '1.2', 'queued', 0, 0, 0, now(), now())"
    )

    def insert() -> None:
        with database.transaction() as session:
            session.execute(statement)

    assert woken(bell, (JobKind.REPORT_STUDY,), insert)


def test_job_that_comes_back_wakes(bell: ListeningBell, database: Database, queue: JobQueue) -> None:
    add(database)
    (claim,) = queue.claim((JobKind.ANALYZE_INSTANCE,), "me")
    assert woken(bell, (JobKind.ANALYZE_INSTANCE,), lambda: queue.give_back(claim))


def test_job_that_is_due_later_is_met_when_it_is_due(bell: ListeningBell, database: Database, queue: JobQueue) -> None:
    stop = threading.Event()
    bell.wait((JobKind.ANALYZE_INSTANCE,), stop)
    add(database, due_in=0.5)
    while not (claims := queue.claim((JobKind.ANALYZE_INSTANCE,), "me")):
        bell.wait((JobKind.ANALYZE_INSTANCE,), stop)
    assert len(claims) == 1


def test_bell_listens_again_after_its_connection_was_cut(bell: ListeningBell, database: Database) -> None:
    forget_what_rang(bell, (JobKind.ANALYZE_INSTANCE,))
    with database.engine.begin() as connection:
        cut = connection.execute(
            text("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND pid <> pg_backend_pid()")
        )
        assert cut.scalar() == 1
    # it rings when it listens again, for what came in between
    bell.wait((JobKind.ANALYZE_INSTANCE,), threading.Event())
    assert bell.listening.wait(BOUND)
    assert woken(bell, (JobKind.ANALYZE_INSTANCE,), lambda: add(database))


def test_sqlite_is_looked_at_again_and_stop_is_heard_at_once(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'store.db'}")
    stop = threading.Event()
    stop.set()
    with job_bell(database, JobQueue(database, lease_seconds=60, max_lease_expiries=3), poll_seconds=LOOKS_ANYWAY) as bell:
        assert isinstance(bell, PollingBell)
        bell.wait((JobKind.ANALYZE_INSTANCE,), stop)
    database.close()
