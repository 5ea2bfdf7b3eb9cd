"""The queue's semantics, the same on SQLite, on PostgreSQL and in the memory double that the workers' tests use."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, insert, select, text

from gateway.domain.job import OPERATOR_ACTIONS, TRANSITIONS, Claim, JobAction, JobKind, JobState
from gateway.domain.operator import Operator
from gateway.errors import JobActionError, JobNotFoundError, LeaseLostError
from gateway.store import schema
from gateway.store.database import Database
from gateway.store.job_acts import JobActs
from gateway.store.job_queue import JobQueue, enqueue
from gateway.store.tables import AuditEventRow, JobRow
from tests.doubles.memory_queue import MemoryQueue

SOMEONE = Operator(name="someone", reason="T-1")
ME, OTHER = "host:worker:1", "host:worker:2"
NOW = datetime.now(UTC)
KINDS = (JobKind.REPORT_STUDY, JobKind.ANALYZE_INSTANCE)


@dataclass(frozen=True)
class Seen:
    job_id: int
    kind: str
    subject: str
    state: str
    attempts: int
    lease_expiries: int
    last_code: str | None
    lease_until: datetime | None
    first_claimed_at: datetime | None


class InMemory:
    """The double behind the tests' words."""

    def __init__(self) -> None:
        self._memory = MemoryQueue()

    def queue(self, *, lease: float = 60, expiries: int = 3) -> Any:
        self._memory._lease = timedelta(seconds=lease)
        self._memory._max_lease_expiries = expiries
        return self._memory

    def add(self, subject: str, kind: JobKind = JobKind.ANALYZE_INSTANCE, *, due_in: float = 0.0, lane: str | None = None) -> None:
        self._memory.enqueue(kind, subject, next_at=datetime.now(UTC) + timedelta(seconds=due_in) if due_in else None, lane=lane)

    def act(self, job_id: int, action: JobAction) -> None:
        self._memory.act(job_id, action)

    def lease_until(self, job_id: int, at: datetime) -> None:
        self._memory.jobs[job_id].lease_until = at

    def queued_at(self, job_id: int, at: datetime) -> None:
        job = self._memory.jobs[job_id]
        job.created_at = job.next_at = at

    def jobs(self) -> list[Seen]:
        return [_seen(job.job_id, job) for job in self._memory.jobs.values()]


class InDatabase:
    """The store behind the tests' words."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def queue(self, *, lease: float = 60, expiries: int = 3) -> Any:
        return JobQueue(self._database, lease_seconds=lease, max_lease_expiries=expiries)

    def add(self, subject: str, kind: JobKind = JobKind.ANALYZE_INSTANCE, *, due_in: float = 0.0, lane: str | None = None) -> None:
        with self._database.transaction() as session:
            at = datetime.now(UTC) + timedelta(seconds=due_in) if due_in else None
            enqueue(session, kind, subject, "1.2", actor="test", next_at=at, lane=lane)

    def act(self, job_id: int, action: JobAction) -> None:
        JobActs(self._database).act(job_id, action, SOMEONE)

    def lease_until(self, job_id: int, at: datetime) -> None:
        with self._database.transaction() as session:
            row = session.get(JobRow, job_id)
            assert row is not None
            row.lease_until = at

    def queued_at(self, job_id: int, at: datetime) -> None:
        with self._database.transaction() as session:
            row = session.get(JobRow, job_id)
            assert row is not None
            row.created_at = row.next_at = at

    def jobs(self) -> list[Seen]:
        with self._database.reading() as session:
            return [_seen(row.id, row) for row in session.scalars(select(JobRow).order_by(JobRow.id))]


Store = InMemory | InDatabase


def _seen(job_id: int, job: Any) -> Seen:
    return Seen(
        job_id=job_id,
        kind=str(job.kind),
        subject=job.subject,
        state=str(job.state),
        attempts=job.attempts,
        lease_expiries=job.lease_expiries,
        last_code=job.last_code,
        lease_until=job.lease_until,
        first_claimed_at=job.first_claimed_at,
    )


@pytest.fixture(scope="module", params=["memory", "sqlite", "postgresql"])
def kept_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database | None]:
    """One database of each kind for all tests of this file."""
    if request.param == "memory":
        yield None
        return
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('queue') / 'store.db'}"
    else:
        url = request.getfixturevalue("postgres").new_database()
    database = Database(url)
    schema.ensure(database)
    yield database
    database.close()


@pytest.fixture
def store(kept_database: Database | None) -> Store:
    if kept_database is None:
        return InMemory()
    with kept_database.transaction() as session:
        session.execute(text("DELETE FROM job"))
    return InDatabase(kept_database)


def one(store: Store) -> Seen:
    (job,) = store.jobs()
    return job


def claim(store: Store, queue: Any = None, kinds: Sequence[JobKind] = tuple(JobKind), owner: str = ME) -> Claim:
    (claimed,) = (queue or store.queue()).claim(kinds, owner)
    return claimed


TO: dict[JobState, Callable[[Store, Any], Claim]] = {
    JobState.QUEUED: lambda store, queue: _ended(store, queue, queue.give_back),
    JobState.RUNNING: claim,
    JobState.RETRY: lambda store, queue: _ended(store, queue, lambda c: queue.fail(c, code="x", retry_in_seconds=0.0)),
    JobState.DONE: lambda store, queue: _ended(store, queue, queue.finish),
    JobState.DEAD: lambda store, queue: _ended(store, queue, lambda c: queue.fail(c, code="x", retry_in_seconds=None)),
    JobState.HELD: lambda store, queue: _ended(store, queue, lambda c: queue.set_aside(c, code="x")),
    JobState.CANCELLED: lambda store, queue: _ended(store, queue, lambda c: (queue.give_back(c), store.act(c.job_id, JobAction.CANCEL))),
}
ACTS: dict[JobAction, Callable[[Any, Claim], None]] = {
    JobAction.FINISH: lambda queue, held: queue.finish(held),
    JobAction.FAIL: lambda queue, held: queue.fail(held, code="y", retry_in_seconds=0.0),
    JobAction.POSTPONE: lambda queue, held: queue.postpone(held, seconds=0.0),
    JobAction.GIVE_BACK: lambda queue, held: queue.give_back(held),
    JobAction.GIVE_UP: lambda queue, held: queue.fail(held, code="y", retry_in_seconds=None),
}


def _ended(store: Store, queue: Any, end: Callable[[Claim], Any]) -> Claim:
    claimed = claim(store, queue)
    end(claimed)
    return claimed


@pytest.mark.parametrize(("state", "action"), list(itertools.product(JobState, JobAction)))
def test_every_action_in_every_state_does_what_the_table_says_or_is_refused(store: Store, state: JobState, action: JobAction) -> None:
    queue = store.queue()
    store.add("d1", JobKind.DELIVER_RESULT)
    held = TO[state](store, queue)
    before = one(store)
    assert before.state == state
    expected = TRANSITIONS.get((state, action))
    if action is JobAction.CLAIM:
        assert bool(queue.claim((JobKind.DELIVER_RESULT,), OTHER)) is (expected is not None)
    elif action is JobAction.EXPIRE:
        assert queue.expire_leases(owner=ME) == (1 if expected is not None else 0)
    elif action in OPERATOR_ACTIONS:
        if expected is None:
            with pytest.raises(JobActionError):
                store.act(before.job_id, action)
        else:
            store.act(before.job_id, action)
    elif expected is None:
        with pytest.raises(LeaseLostError):
            ACTS[action](queue, held)
    else:
        ACTS[action](queue, held)
    assert one(store).state == (expected or state)
    if expected is None:
        assert one(store) == before


def test_oldest_comes_first_and_what_is_not_due_stays(store: Store) -> None:
    for subject in ("i1", "i2", "i3"):
        store.add(subject)
    store.add("later", due_in=3600)
    taken = store.queue().claim(KINDS, ME, limit=10)
    assert [c.subject for c in taken] == ["i1", "i2", "i3"]
    assert store.queue().claim(KINDS, ME, limit=10) == ()
    assert [job.state for job in store.jobs() if job.subject == "later"] == ["queued"]


def test_lane_takes_its_own_jobs_and_waits_for_its_own_alone(store: Store) -> None:
    store.add("a1", JobKind.DELIVER_RESULT, lane="a")
    store.add("b1", JobKind.DELIVER_RESULT, lane="b", due_in=3600)
    queue, kinds = store.queue(), (JobKind.DELIVER_RESULT,)
    assert queue.claim(kinds, ME, lane="b") == ()
    assert queue.seconds_until_due(kinds, lane="b") > 3000
    assert queue.seconds_until_due(kinds) == 0
    assert [c.subject for c in queue.claim(kinds, ME, lane="a")] == ["a1"]
    assert queue.seconds_until_due(kinds, lane="a") is None


def test_kinds_come_in_the_order_in_which_they_are_asked_for(store: Store) -> None:
    store.add("i1")
    store.add("s1", JobKind.REPORT_STUDY)
    store.add("d1", JobKind.DELIVER_RESULT)
    assert [c.subject for c in store.queue().claim(KINDS, ME, limit=10)] == ["s1", "i1"]


def test_limit_leaves_the_rest_to_others(store: Store) -> None:
    for number in range(5):
        store.add(f"i{number}")
    assert len(store.queue().claim(KINDS, ME, limit=3)) == 3
    assert [c.subject for c in store.queue().claim(KINDS, OTHER, limit=3)] == ["i3", "i4"]


def test_job_that_waits_is_not_queued_twice_but_pulled_forward(store: Store) -> None:
    store.add("i1", due_in=3600)
    assert store.queue().claim(KINDS, ME) == ()
    store.add("i1")
    assert claim(store).subject == "i1"
    assert len(store.jobs()) == 1


@pytest.mark.parametrize("action", [JobAction.FAIL, JobAction.POSTPONE, JobAction.GIVE_BACK, JobAction.EXPIRE])
def test_job_that_was_queued_anew_while_it_ran_ends_as_superseded(store: Store, action: JobAction) -> None:
    store.add("i1")
    queue = store.queue()
    held = claim(store, queue)
    store.add("i1")
    if action is JobAction.EXPIRE:
        queue.expire_leases(owner=ME)
    else:
        ACTS[action](queue, held)
    assert [(job.state, job.last_code) for job in store.jobs()] == [("done", "superseded"), ("queued", None)]


@pytest.mark.parametrize("action", list(ACTS))
def test_late_writer_is_rejected_by_its_fence(store: Store, action: JobAction) -> None:
    store.add("i1")
    queue = store.queue()
    late = claim(store, queue)
    queue.expire_leases(owner=ME)
    claim(store, queue, owner=OTHER)
    before = one(store)
    with pytest.raises(LeaseLostError):
        ACTS[action](queue, late)
    assert one(store) == before


def test_worker_is_not_heard_any_more_once_an_operator_has_held_its_job(store: Store) -> None:
    store.add("i1")
    queue = store.queue()
    held = claim(store, queue)
    store.act(held.job_id, JobAction.HOLD)
    with pytest.raises(LeaseLostError):
        queue.finish(held)
    assert (one(store).state, one(store).lease_until) == ("held", None)


def test_lost_leases_count_no_attempt_and_too_many_of_them_end_in_held(store: Store) -> None:
    store.add("i1")
    queue = store.queue(lease=0, expiries=2)
    for expected in ("queued", "queued", "held"):
        claim(store, queue)
        assert queue.expire_leases() == 1
        assert (one(store).state, one(store).attempts) == (expected, 0)
    assert one(store).last_code == "lease_expiries"
    store.act(one(store).job_id, JobAction.RELEASE)
    assert claim(store, queue).lease_expiries == 0


def test_lease_that_runs_is_left_alone_and_another_processes_too(store: Store) -> None:
    store.add("i1")
    queue = store.queue()
    claim(store, queue)
    assert (queue.expire_leases(), queue.expire_leases(owner=OTHER)) == (0, 0)


def test_heartbeat_keeps_what_is_in_hand_and_names_what_is_lost(store: Store) -> None:
    store.add("i1")
    store.add("i2")
    queue = store.queue()
    kept, lost = queue.claim(KINDS, ME, limit=2)
    store.act(lost.job_id, JobAction.HOLD)
    for job in (kept,):
        store.lease_until(job.job_id, datetime.now(UTC) - timedelta(seconds=1))
    assert queue.renew((kept, lost)) == (lost,)
    assert queue.expire_leases() == 0
    assert queue.renew(()) == ()


def test_lease_from_before_the_clock_was_set_back_does_not_hold_a_job_for_longer_than_any_other(store: Store) -> None:
    store.add("i1")
    queue = store.queue(lease=60)
    held = claim(store, queue)
    store.lease_until(held.job_id, datetime.now(UTC) + timedelta(hours=1))
    assert queue.expire_leases() == 0
    until = one(store).lease_until
    assert until is not None
    assert until <= datetime.now(UTC) + timedelta(seconds=60)
    queue.finish(held)


def test_job_queued_before_the_clock_was_set_back_is_due_and_keeps_its_pauses_afterwards(store: Store) -> None:
    store.add("i1")
    queue = store.queue(lease=60)
    store.queued_at(one(store).job_id, datetime.now(UTC) + timedelta(hours=1))
    assert queue.claim(KINDS, ME) == ()
    queue.expire_leases()
    queue.fail(claim(store, queue), code="x", retry_in_seconds=7200)
    queue.expire_leases()
    assert queue.claim(KINDS, ME) == ()


def test_job_that_waits_for_its_time_is_left_alone(store: Store) -> None:
    store.add("i1", due_in=3600)
    queue = store.queue(lease=60)
    queue.expire_leases()
    assert queue.claim(KINDS, ME) == ()


def test_suspect_comes_alone_and_nobody_before_it_waits(store: Store) -> None:
    queue = store.queue()
    for subject in ("i1", "i2", "suspect", "i4"):
        store.add(subject)
    three = queue.claim(KINDS, ME, limit=3)
    queue.fail(three[2], code="x", retry_in_seconds=0.0)
    for unharmed in three[:2]:
        queue.give_back(unharmed)
    groups = [[c.subject for c in queue.claim(KINDS, ME, limit=10)] for _ in range(3)]
    assert ["suspect"] in groups
    assert sorted(itertools.chain(*groups)) == ["i1", "i2", "i4", "suspect"]


def test_job_keeps_the_time_of_its_first_claim(store: Store) -> None:
    store.add("i1")
    queue = store.queue()
    first = claim(store, queue)
    queue.give_back(first)
    assert claim(store, queue).first_claimed_at == first.first_claimed_at


def test_time_until_the_next_job_is_due_is_known(store: Store) -> None:
    queue = store.queue()
    assert queue.seconds_until_due(KINDS) is None
    store.add("later", due_in=3600)
    assert 3500 < queue.seconds_until_due(KINDS) <= 3600
    store.add("i1")
    assert queue.seconds_until_due(KINDS) == 0
    assert queue.seconds_until_due((JobKind.DELIVER_RESULT,)) is None


def test_released_job_does_not_join_another_one_that_waits_for_the_same(store: Store) -> None:
    store.add("i1")
    store.act(one(store).job_id, JobAction.HOLD)
    store.add("i1")
    held, _ = store.jobs()
    with pytest.raises(JobActionError):
        store.act(held.job_id, JobAction.RELEASE)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_received_cannot_be_cancelled(store: Store, kind: JobKind) -> None:
    store.add("i1", kind)
    with pytest.raises(JobActionError):
        store.act(one(store).job_id, JobAction.CANCEL)


def test_released_or_retried_job_has_all_its_attempts_again(store: Store) -> None:
    queue = store.queue()
    store.add("i1")
    queue.fail(claim(store, queue), code="x", retry_in_seconds=3600)
    store.act(one(store).job_id, JobAction.RETRY)
    assert claim(store, queue).attempts == 0


def test_job_that_nobody_knows_cannot_be_acted_on(store: Store) -> None:
    with pytest.raises(JobNotFoundError):
        store.act(999_999, JobAction.HOLD)


def test_job_is_claimed_once_however_many_ask(store: Store) -> None:
    for number in range(24):
        store.add(f"i{number}")
    taken: list[int] = []

    def work(owner: str) -> None:
        taken.extend(c.job_id for _ in range(12) for c in store.queue().claim(KINDS, owner, limit=2))

    threads = [threading.Thread(target=work, args=(f"host:worker:{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while rest := store.queue().claim(KINDS, ME, limit=24):
        taken.extend(c.job_id for c in rest)
    assert len(taken) == len(set(taken)) == 24


@pytest.mark.parametrize("kept_database", ["sqlite", "postgresql"], indirect=True)
def test_every_transition_has_its_audit_event_with_who_and_why(kept_database: Database, store: Store) -> None:
    with kept_database.reading() as session:
        before = session.scalar(select(func.max(AuditEventRow.seq))) or 0
    queue = store.queue()
    store.add("i1")
    queue.fail(claim(store, queue), code="failed_timeout", retry_in_seconds=None)
    store.act(one(store).job_id, JobAction.RETRY)
    queue.set_aside(claim(store, queue), code="conflict_open")
    store.act(one(store).job_id, JobAction.RELEASE)
    queue.give_back(claim(store, queue))
    with kept_database.reading() as session:
        rows = session.scalars(select(AuditEventRow).where(AuditEventRow.seq > before).order_by(AuditEventRow.seq)).all()
    assert [row.event.removeprefix("job:") for row in rows] == [
        "queued", "claimed", "dead", "retried", "claimed", "held", "released", "claimed", "given_back",
    ]  # fmt: skip
    assert [(row.actor, row.detail["reason"]) for row in rows if "reason" in row.detail] == [("operator:someone", "T-1")] * 2


@pytest.mark.parametrize("kept_database", ["sqlite", "postgresql"], indirect=True)
def test_claims_and_timers_read_waiting_and_running_jobs_by_their_indexes_however_long_the_history(
    kept_database: Database, store: Store
) -> None:
    _history(kept_database, 2000)
    store.add("i1")
    queue = store.queue()
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.startswith("SELECT") and "FROM job" in statement:
            asked.append((statement, parameters))

    event.listen(kept_database.engine, "before_cursor_execute", note)
    try:
        claimed = claim(store, queue, KINDS)
        queue.seconds_until_due(KINDS)
        queue.expire_leases(owner=OTHER)
        queue.expire_leases()
        queue.renew((claimed,))
    finally:
        event.remove(kept_database.engine, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN " if kept_database.dialect == "sqlite" else "EXPLAIN "
    with kept_database.engine.connect() as connection:
        plans = [" ".join(str(row) for row in connection.exec_driver_sql(explain + sql, values)) for sql, values in asked]
    assert len(plans) > 5
    # each holds waiting or running jobs only, or is asked for one
    indexes = ("ix_job_claimable", "uq_job_waiting", "ix_job_running", "pk_job", "PRIMARY KEY")
    assert [plan for plan in plans if not any(name in plan for name in indexes)] == []


def _history(database: Database, count: int) -> None:
    rows = [
        {
            "kind": "analyze_instance",
            "subject": f"h{n}",
            "study_instance_uid": f"1.2.{n}",
            "state": "done",
            "created_at": NOW,
            "next_at": NOW,
        }
        for n in range(count)
    ]
    with database.transaction() as session:
        session.execute(insert(JobRow), rows)
    if database.dialect == "postgresql":
        with database.engine.begin() as connection:
            connection.execute(text("ANALYZE job"))
