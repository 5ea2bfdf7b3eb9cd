"""What timers look at: each alarm begins with its cause and ends with it. A lost tick loses no work."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, Verification  # type: ignore[attr-defined]
from sqlalchemy import select, update

from gateway.app.timers import receiver_timers, sender_timers, worker_timers
from gateway.config import DeliverySettings, DestinationSettings, SpoolSettings, parse_settings
from gateway.delivery.link import Answered
from gateway.delivery.verification_scu import VerificationScu
from gateway.domain.delivery import Verdict
from gateway.domain.job import JobAction, JobKind, JobState
from gateway.domain.operator import Operator
from gateway.ops.watches import ClockWatch, DeliveryWatch, DestinationWatch, DiskWatch, QueueWatch, SpoolWatch
from gateway.store.alarms import Alarms
from gateway.store.claimed_jobs import ClaimedJobs
from gateway.store.database import Database
from gateway.store.deliveries import Deliveries
from gateway.store.job_acts import JobActs
from gateway.store.job_queue import JobQueue
from gateway.store.queue_health import QueueHealth
from gateway.store.spool import Obstacle, Spool
from gateway.store.spool_binding import bind, bound_identity
from gateway.store.tables import JobRow
from tests.conftest import ROOT
from tests.integration.bench import Bench
from tests.integration.sender_bench import Archive, deliver
from tests.peers.postgresql import free_port


def standing(database: Database) -> list[tuple[str, str, str]]:
    return [(alarm.code.value, alarm.subject, alarm.reason) for alarm in Alarms(database, "test").standing()]


class Disk(Spool):
    """A spool with as many free bytes as a test says."""

    free = 0

    def obstacle(self, reserve: int) -> Obstacle | None:
        return Obstacle.NO_SPACE if self.free <= reserve else None


def test_low_disk_stands_until_reserve_and_margin_are_free(database: Database, tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    watch = DiskWatch(spool=disk, settings=SpoolSettings(reserve_mb=10, resume_margin_mb=5), alarms=Alarms(database, "test"), host="h")
    seen = []
    for free in (20, 11, 9, 12, 16):
        disk.free = free << 20
        watch.look()
        seen.append(len(standing(database)))
    assert seen == [0, 0, 1, 1, 0]


def test_spool_that_is_replaced_is_an_alarm_until_it_is_back(database: Database, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    bind(spool, database)
    watch = SpoolWatch(spool=spool, expected=lambda: bound_identity(database), alarms=Alarms(database, "test"), host="h")
    watch.look()
    assert standing(database) == []
    (tmp_path / "spool").rename(tmp_path / "aside")
    watch.look()
    assert standing(database) == [("spool_not_shared", "h", "unreachable")]
    (tmp_path / "aside").rename(tmp_path / "spool")
    watch.look()
    assert standing(database) == []


def test_old_and_held_jobs_are_alarms_of_their_kind(bench: Callable[..., Bench]) -> None:
    here = bench("all")
    watch = QueueWatch(health=QueueHealth(here.database), alarms=Alarms(here.database, "test"), oldest_job_minutes=60)
    here.receive(1)
    watch.look()
    assert standing(here.database) == []
    analysis = update(JobRow).where(JobRow.kind == JobKind.ANALYZE_INSTANCE)
    with here.database.transaction() as session:
        session.execute(analysis.values(next_at=datetime.now(UTC) - timedelta(minutes=61)))
    watch.look()
    assert standing(here.database) == [("oldest_job", "analyze_instance", "")]
    with here.database.transaction() as session:
        session.execute(analysis.values(state=JobState.HELD, last_code="lease_expiries"))
    watch.look()
    assert standing(here.database) == [("lease_expiries", "analyze_instance", "")]
    with here.database.transaction() as session:
        session.execute(analysis.values(state=JobState.DONE))
    watch.look()
    assert standing(here.database) == []


AN_HOUR = timedelta(minutes=61)
RUNNING = {"state": JobState.RUNNING}


@pytest.mark.parametrize(
    ("values", "is_old"),
    [
        ({"created_at": -AN_HOUR, "next_at": timedelta(minutes=1)}, False),
        ({"created_at": -AN_HOUR, "next_at": timedelta(minutes=-1)}, False),
        ({"created_at": -AN_HOUR, "next_at": -AN_HOUR}, True),
        (RUNNING | {"next_at": -AN_HOUR, "first_claimed_at": timedelta(minutes=-1)}, False),
        (RUNNING | {"next_at": -2 * AN_HOUR, "first_claimed_at": -AN_HOUR}, True),
        (RUNNING | {"first_claimed_at": -AN_HOUR, "next_at": timedelta(minutes=-1)}, False),
    ],
    ids=["waits for its time", "due for a minute", "due for an hour", "runs for a minute", "runs for an hour", "runs again"],
)
def test_job_is_old_when_it_is_due_or_runs_for_long_not_when_it_was_made_long_ago(
    bench: Callable[..., Bench], values: dict[str, JobState | timedelta], is_old: bool
) -> None:
    here = bench("all")
    here.receive(1)
    now = datetime.now(UTC)
    with here.database.transaction() as session:
        changed = {name: now + value if isinstance(value, timedelta) else value for name, value in values.items()}
        session.execute(update(JobRow).values(kind=JobKind.CONFIRM_DELIVERY, **changed))
    QueueWatch(health=QueueHealth(here.database), alarms=Alarms(here.database, "test"), oldest_job_minutes=60).look()
    assert standing(here.database) == ([("oldest_job", "confirm_delivery", "")] if is_old else [])


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_clock_is_compared_with_the_databases(database: Database) -> None:
    health = QueueHealth(database)
    assert abs(health.clock_ahead_seconds()) < 5
    health.clock_ahead_seconds = lambda: -31.0  # type: ignore[method-assign]
    ClockWatch(health=health, alarms=Alarms(database, "test"), host="h", allowed_seconds=30).look()
    assert standing(database) == [("clock", "h", "behind")]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_destination_is_silent_after_two_times_without_an_answer_until_it_answers(database: Database) -> None:
    answers = iter([None, "no_association", None, "no_association", "no_response", "no_response", None])
    destination = DestinationSettings.model_validate({"name": "pacs", "ae_title": "P", "host": "h", "port": 1, "class": "test"})
    watch = DestinationWatch(destination=destination, silence=lambda _: next(answers), alarms=Alarms(database, "test"))
    seen = []
    for _ in range(7):
        watch.look()
        seen.append([reason for _, _, reason in standing(database)])
    assert seen == [[], [], [], [], ["no_response"], ["no_response"], []]


def echo(*classes: str, status: int = 0) -> str | None:
    server_ae = AE(ae_title="PACS")
    for uid in classes:
        server_ae.add_supported_context(uid)
    port = free_port()
    server = server_ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_ECHO, lambda _event: status)])
    try:
        return silence_of(port)
    finally:
        server.shutdown()


def silence_of(port: int) -> str | None:
    destination = DestinationSettings.model_validate(
        {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": port, "class": "test"}
    )
    return VerificationScu(DeliverySettings(connect_seconds=2, response_seconds=2)).silence(destination)


def test_destination_that_answers_c_echo_or_refuses_it_as_such_is_there() -> None:
    assert echo(Verification) is None
    assert echo(CTImageStorage) is None
    assert echo(Verification, status=0x0122) == "status_0122"
    assert silence_of(free_port()) == "no_association"


@pytest.mark.usefixtures("plain_pages")
def test_dead_deliveries_are_an_alarm_of_their_destination_until_a_person_has_dealt_with_each(bench: Callable[..., Bench]) -> None:
    here = bench()
    uid, refusing = here.receive(1), Archive(answer=Answered(verdict=Verdict.DEAD, code="cannot_understand", dimse_status=0xC000))
    here.work()
    alarms = Alarms(here.database, "test")
    watch = DeliveryWatch(deliveries=Deliveries(here.database), alarms=alarms)

    def standing() -> list[tuple[str, str]]:
        watch.look()
        return [(alarm.code.value, alarm.subject) for alarm in alarms.standing()]

    assert standing() == []
    assert deliver(here, refusing) == ["cannot_understand"] * 3
    assert standing() == [("deliveries_dead", "pacs")]
    with here.database.reading() as session:
        jobs = session.scalars(select(JobRow.id).where(JobRow.kind == JobKind.DELIVER_RESULT).order_by(JobRow.id)).all()
    anna = Operator(name="anna", reason="INC-7")
    JobActs(here.database).act(jobs[0], JobAction.CANCEL, anna)
    for job in jobs[1:]:
        assert standing() == [("deliveries_dead", "pacs")]
        JobActs(here.database).act(job, JobAction.RETRY, anna)
    assert deliver(here, Archive()) == ["stored"] * 2
    assert standing() == []
    assert here.story(uid).results


def test_timers_of_all_roles_are_documented_and_start(database: Database, tmp_path: Path) -> None:
    settings = parse_settings(
        {
            "spool": {"folder": str(tmp_path / "spool")},
            "destinations": [{"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 1, "class": "test"}],
        }
    )
    queue = JobQueue(database, lease_seconds=60, max_lease_expiries=3)
    claimed = ClaimedJobs(queue, "test")
    page = (ROOT / "docs/timers.md").read_text(encoding="utf-8")
    for timers in (
        receiver_timers(settings, database),
        worker_timers(settings, database, queue, claimed, lambda: None, lambda: None),
        sender_timers(settings, database, queue, claimed),
    ):
        with timers:
            for name in timers.names:
                assert f"| `{re.sub('(?<=leadership ).*', 'DUTY', name.replace(' pacs', ' NAME'))}` |" in page
    assert "echo pacs" in timers.names


def test_ticks_that_were_lost_lose_no_work(bench: Callable[..., Bench]) -> None:
    """Nothing ran while a process was gone: one later tick takes its jobs back, and all of the work is done."""
    here = bench("all")
    queue = JobQueue(here.database, lease_seconds=60, max_lease_expiries=3)
    uids = [here.receive(1, study=study) for study in (1, 2, 3)]
    assert len(queue.claim((JobKind.ANALYZE_INSTANCE,), "gone", limit=3)) == 3
    with here.database.transaction() as session:
        session.execute(update(JobRow).where(JobRow.state == JobState.RUNNING).values(lease_until=datetime.now(UTC) - timedelta(hours=1)))
    here.work()
    assert [here.outcome(uid) for uid in uids] == [None, None, None]
    settings = parse_settings({"spool": {"folder": str(here.spool.path("."))}})
    with worker_timers(settings, here.database, queue, ClaimedJobs(queue, "test"), lambda: None, lambda: None) as timers:
        timers.tick("stalled_leases")
    here.work()
    assert [here.outcome(uid) for uid in uids] == ["assessed"] * 3
