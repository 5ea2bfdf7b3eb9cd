"""Two transactions of PostgreSQL that wait for each other: the database gives ours up, and it is run again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from gateway.domain.job import JobKind
from gateway.errors import TransactionVictimError
from gateway.store.database import Database
from gateway.store.group_commit import GroupCommit
from gateway.store.repeating import repeated
from gateway.store.tables import JobRow
from tests.integration.test_group_commit import together
from tests.integration.test_store import queue_of, take
from tests.peers.postgresql import PostgresCluster

SECONDS = 30


@pytest.fixture
def database_url(postgres: PostgresCluster) -> str:
    url = postgres.new_database()
    with psycopg.connect(f"host=127.0.0.1 port={postgres.port} user=postgres dbname=postgres", autocommit=True) as operator:
        # ours notices at once, so that it is always the one that is given up
        operator.execute(f"ALTER DATABASE {make_url(url).database} SET deadlock_timeout = '20ms'")
    return url


@pytest.fixture
def rival(database_url: str) -> Iterator[Callable[[int, int], None]]:
    """Locks one job's row, waits until somebody waits for it, and asks for the other's: rival(first, then)."""
    found = make_url(database_url)
    address = f"host=127.0.0.1 port={found.port} user=postgres dbname={found.database}"
    holds = threading.Event()
    with psycopg.connect(address) as connection, psycopg.connect(address, autocommit=True) as watch, ThreadPoolExecutor(1) as pool:
        connection.execute("SET deadlock_timeout = '1h'")
        connection.commit()

        def embrace(first: int, then: int) -> None:
            connection.execute("SELECT 1 FROM job WHERE id = %s FOR UPDATE", (first,))
            holds.set()
            deadline = time.monotonic() + SECONDS
            while not watch.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
                assert time.monotonic() < deadline
            connection.execute("SELECT 1 FROM job WHERE id = %s FOR UPDATE", (then,))
            connection.commit()

        futures = []

        def begin(first: int, then: int) -> None:
            futures.append(pool.submit(embrace, first, then))
            assert holds.wait(SECONDS)

        yield begin
        for future in futures:
            future.result(SECONDS)


def two_jobs(database: Database) -> tuple[int, int]:
    take(database, 1, content="1")
    take(database, 2, content="2")
    with database.reading() as session:
        first, second = session.scalars(select(JobRow.id).order_by(JobRow.id))
    return first, second


def lock(session: Session, job_id: int) -> int:
    return session.scalar(text("SELECT id FROM job WHERE id = :id FOR UPDATE"), {"id": job_id}) or 0


def test_leases_are_renewed_although_a_deadlock_undid_the_first_try(database: Database, rival: Callable[[int, int], None]) -> None:
    first, second = two_jobs(database)
    queue = queue_of(database)
    claims = [claim for _ in range(2) for claim in queue.claim((JobKind.ANALYZE_INSTANCE,), "host:worker:1")]
    assert [claim.job_id for claim in claims] == [first, second]
    rival(second, first)
    assert queue.renew(claims) == ()


def test_commit_of_several_is_run_again_after_a_deadlock_and_nobody_fails(database: Database, rival: Callable[[int, int], None]) -> None:
    first, second = two_jobs(database)
    runs: list[int] = []

    def take_lock(job_id: int) -> Callable[[Session], int]:
        def statements(session: Session) -> int:
            runs.append(job_id)
            return lock(session, job_id)

        return statements

    group = GroupCommit(database)
    calls: list[Callable[[], int]] = [lambda: group.run(take_lock(first)), lambda: group.run(take_lock(second))]
    futures = together(group, calls, hold=lambda _session: rival(second, first))
    assert [future.result() for future in futures] == [first, second]
    assert runs == [first, second] * 2


def test_deadlock_is_no_loss_of_the_database(database: Database) -> None:
    """What is not repeated says so by a class of its own."""
    with pytest.raises(TransactionVictimError), database.transaction() as session:
        session.execute(text("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"))


def test_group_that_is_given_up_each_time_fails_all_of_it(database: Database) -> None:
    tries: list[int] = []

    def never(session: Session) -> None:
        tries.append(1)
        session.execute(text("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$"))

    group = GroupCommit(database)
    futures = together(
        group, [lambda: group.run(lambda session: session.scalar(text("SELECT 1"))), lambda: group.run(never)], hold=lock_none
    )
    assert [type(future.exception()) for future in futures] == [TransactionVictimError] * 2
    assert len(tries) == 5


def lock_none(_session: Session) -> None:
    """Holds the group back, and writes nothing."""


def test_only_what_was_given_up_is_repeated() -> None:
    calls: list[int] = []

    @repeated
    def once() -> None:
        calls.append(1)
        raise OperationalError("SELECT", {}, Exception())

    with pytest.raises(OperationalError):
        once()
    assert calls == [1]
