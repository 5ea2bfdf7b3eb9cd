"""Retention: what is old and finished goes, nothing else; what went is told truthfully; a purge that dies midway harms nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from gateway.config import RetentionSettings
from gateway.domain.delivery import DeliveryState
from gateway.domain.job import JobAction, JobKind, JobState
from gateway.domain.operator import Operator
from gateway.domain.outcome import InstanceState
from gateway.events import Event
from gateway.ops.retention import Retention
from gateway.receive.sweep import sweep
from gateway.store.inventory import Inventory
from gateway.store.job_acts import JobActs
from gateway.store.job_queue import enqueue
from gateway.store.orphans import Orphans
from gateway.store.purging import Purging
from gateway.store.queries import Queries
from gateway.store.receipts import Receipts
from gateway.store.spool import SHARDS
from gateway.store.spool_binding import bind
from gateway.store.steps import PurgeStep
from gateway.store.tables import AssessmentRow, AuditEventRow, DeliveryRow, FileRemovalRow, InstanceRow, JobRow, ReceiptRow, ResultRow
from tests.integration.bench import Bench

AGES_AGO = timedelta(days=400)


@pytest.fixture
def here(bench: Callable[..., Bench]) -> Bench:
    found = bench("all")
    bind(found.spool, found.database)
    return found


def purging(here: Bench) -> Purging:
    return Purging(here.database, here.spool, "test")


def purge(here: Bench, **days: float) -> None:
    Retention(settings=RetentionSettings(**days), purging=purging(here)).purge()


def finished(here: Bench, number: int = 1, *, study: int = 1) -> str:
    """A study that was received, assessed and sent long ago."""
    uid = here.receive(number, study=study)
    here.work()
    sent(here)
    long_ago(here)
    return uid


def sent(here: Bench, state: DeliveryState = DeliveryState.SENT) -> None:
    with here.database.transaction() as session:
        session.execute(
            update(DeliveryRow).where(DeliveryRow.state == DeliveryState.PENDING).values(state=state, sent_at=datetime.now(UTC))
        )
        waiting = update(JobRow).where(JobRow.kind == JobKind.DELIVER_RESULT, JobRow.state == JobState.QUEUED)
        session.execute(waiting.values(state=JobState.DONE, finished_at=datetime.now(UTC)))


def unconfirmed(here: Bench) -> list[int]:
    """Commitment of everything sent was asked for and has not come. The jobs that wait for it."""
    with here.database.transaction() as session:
        session.execute(update(DeliveryRow).values(transaction_uid="2.25.1", committed_at=None))
        deliveries = session.execute(
            select(DeliveryRow.id, ResultRow.study_instance_uid).join(ResultRow, ResultRow.id == DeliveryRow.result_id)
        )
        for delivery, study in deliveries.all():
            enqueue(session, JobKind.CONFIRM_DELIVERY, delivery, study, actor="test", lane="pacs")
        return list(session.scalars(select(JobRow.id).where(JobRow.kind == JobKind.CONFIRM_DELIVERY)))


def long_ago(here: Bench) -> None:
    """Everything so far has been there for ages."""
    then = datetime.now(UTC) - AGES_AGO
    with here.database.transaction() as session:
        session.execute(update(InstanceRow).values(received_at=then))
        session.execute(update(ResultRow).values(created_at=then))
        session.execute(update(JobRow).where(JobRow.finished_at.is_not(None)).values(finished_at=then))


def files(here: Bench, kind: str) -> int:
    return sum(len(here.spool.names(kind, shard)) for shard in SHARDS)


def events(here: Bench) -> Iterator[tuple[str, int]]:
    with here.database.reading() as session:
        for row in session.scalars(select(AuditEventRow).where(AuditEventRow.event == Event.RETENTION_PURGED).order_by(AuditEventRow.seq)):
            yield row.detail["code"], row.detail["count"]


def count(here: Bench, table: type) -> int:
    with here.database.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def closed(here: Bench) -> bool:
    return all(ledger.closed for ledger in Queries(here.database).status().ledgers)


def test_old_finished_study_loses_its_files_and_keeps_its_story(here: Bench) -> None:
    uid = finished(here)
    finished(here, study=2)
    here.receive(1, study=3)
    here.work()
    sent(here)
    before = {kind: files(here, kind) for kind in ("instance", "saliency", "result")}
    purge(here, images_days=365, results_days=365)
    assert [files(here, kind) for kind in before] == [1, 1, before["result"] // 3]
    assert before["instance"] == before["saliency"] == 3
    story = here.story(uid)
    assert story.instances[0].outcome == "assessed"
    assert story.instances[0].purged_at is not None
    assert all(result.purged_at is not None for result in story.results)
    assert story.instances[0].knees
    assert closed(here)
    results = before["result"] // 3
    assert sorted(events(here)) == [("images", 1), ("images", 1), ("results", results), ("results", results)]
    assert count(here, FileRemovalRow) == 0
    purge(here, images_days=365, results_days=365)
    assert len(list(events(here))) == 4


def test_nothing_goes_by_default(here: Bench) -> None:
    finished(here)
    purge(here)
    assert list(events(here)) == []


def obstacles() -> dict[str, Callable[[Bench, str], None]]:
    def of_delivery(state: DeliveryState) -> Callable[[Bench, str], None]:
        def change(here: Bench, _uid: str) -> None:
            with here.database.transaction() as session:
                session.execute(update(DeliveryRow).values(state=state))

        return change

    def of_job(kind: JobKind, state: JobState) -> Callable[[Bench, str], None]:
        def change(here: Bench, _uid: str) -> None:
            with here.database.transaction() as session:
                session.execute(update(JobRow).where(JobRow.kind == kind).values(state=state))

        return change

    def confirmation(state: JobState) -> Callable[[Bench, str], None]:
        def change(here: Bench, _uid: str) -> None:
            unconfirmed(here)
            of_job(JobKind.CONFIRM_DELIVERY, state)(here, "")

        return change

    def young_sibling(here: Bench, _uid: str) -> None:
        here.receive(2)
        here.work()
        sent(here)

    def conflict(here: Bench, uid: str) -> None:
        here.receive(3, study=1, SOPInstanceUID=uid, PatientID="OTHER", StudyInstanceUID="1.2.3.99")
        here.work()
        long_ago(here)

    return {
        "pending": of_delivery(DeliveryState.PENDING),
        "dead delivery": of_delivery(DeliveryState.DEAD),
        "held delivery": of_delivery(DeliveryState.HELD),
        "awaited confirmation": confirmation(JobState.QUEUED),
        "held confirmation": confirmation(JobState.HELD),
        "dead confirmation": confirmation(JobState.DEAD),
        "held analysis": of_job(JobKind.ANALYZE_INSTANCE, JobState.HELD),
        "dead report": of_job(JobKind.REPORT_STUDY, JobState.DEAD),
        "running report": of_job(JobKind.REPORT_STUDY, JobState.RUNNING),
        "young sibling": young_sibling,
        "conflict": conflict,
    }


@pytest.mark.parametrize("obstacle", obstacles())
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_study_that_is_not_at_rest_keeps_its_files(here: Bench, obstacle: str) -> None:
    uid = finished(here)
    obstacles()[obstacle](here, uid)
    purge(here, images_days=365)
    assert here.story(uid).instances[0].purged_at is None
    if obstacle != "conflict":
        purge(here, results_days=365)
        assert list(events(here)) == []


def test_study_whose_commitment_never_came_goes_once_nobody_waits_for_it(here: Bench) -> None:
    uid = finished(here)
    jobs = unconfirmed(here)
    assert jobs
    for job_id in jobs:
        JobActs(here.database).act(job_id, JobAction.CANCEL, Operator(name="op", reason="archive-does-not-commit"))
    purge(here, images_days=365, results_days=365)
    assert here.story(uid).instances[0].purged_at is not None
    assert all(result.purged_at is not None for result in here.story(uid).results)
    assert (files(here, "instance"), files(here, "result")) == (0, 0)


def test_purged_instance_that_comes_again_is_a_duplicate_and_is_not_kept(here: Bench) -> None:
    uid = finished(here)
    purge(here, images_days=365)
    here.receive(1)
    here.work()
    assert (files(here, "instance"), files(here, "saliency")) == (0, 0)
    (instance,) = here.story(uid).instances
    assert [receipt.reason for receipt in instance.receipts] == ["stored", "received_again"]
    assert len(here.story(uid).results) == count(here, ResultRow)
    assert instance.state == InstanceState.ASSESSED
    assert closed(here)


def test_late_sibling_of_a_purged_image_waits_for_it_and_goes_on_when_it_comes_again(here: Bench) -> None:
    first = finished(here)
    purge(here, images_days=365, results_days=365)
    second = here.receive(2)
    here.work()
    assert [(job.state, job.last_code) for job in here.story(first).study_jobs][-1] == ("held", "source_purged")
    assert {result.revision for result in here.story(first).results} == {1}
    # the young sibling's files stay meanwhile
    purge(here, images_days=365)
    assert files(here, "instance") == 1
    here.receive(1)
    here.work()
    story = here.story(first)
    assert {result.revision for result in story.results} == {1, 2}
    assert story.instances[0].purged_at is None
    assert story.study_jobs[-1].state == "done"
    assert {i.outcome for i in here.story(second).instances} == {"assessed"}
    with here.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(AssessmentRow)) == 2
    # predecessor and files: what the new revision rests on is in the spool
    assert (files(here, "instance"), files(here, "saliency")) == (2, 2)


def test_released_analysis_of_a_purged_image_is_held_and_its_outcome_stands(here: Bench) -> None:
    uid = finished(here)
    with here.database.transaction() as session:
        session.execute(update(JobRow).where(JobRow.kind == JobKind.ANALYZE_INSTANCE).values(state=JobState.DEAD))
    purge(here, images_days=365)
    (job,) = here.story(uid).instances[0].jobs
    JobActs(here.database).act(job.job_id, JobAction.RELEASE, Operator(name="op", reason="again"))
    here.work()
    (instance,) = here.story(uid).instances
    assert (instance.outcome, instance.jobs[0].state, instance.jobs[0].last_code) == ("assessed", "held", "source_purged")


@pytest.mark.parametrize("step", list(PurgeStep))
def test_purge_that_dies_midway_is_finished_by_the_next_and_no_file_is_called_lost(here: Bench, step: PurgeStep) -> None:
    uid = finished(here)

    class KilledError(Exception):
        pass

    def die(at: PurgeStep) -> None:
        if at is step:
            raise KilledError

    with pytest.raises(KilledError):
        Purging(here.database, here.spool, "test", on_step=die).images(datetime.now(UTC), limit=10)
    swept = sweep(here.spool, Inventory(here.database, "test"), Receipts(here.database, "test", here.spool))
    assert (swept.lost, swept.adopted, swept.strange) == (0, 0, 0)
    assert here.story(uid).instances[0].purged_at is not None
    purge(here)
    assert (files(here, "instance"), files(here, "saliency"), count(here, FileRemovalRow)) == (0, 0, 0)
    assert len(list(events(here))) == 1
    assert closed(here)


def test_ended_jobs_go_and_the_audit_keeps_what_they_came_to(here: Bench) -> None:
    uid = finished(here)
    jobs = count(here, JobRow)
    here.receive(1, study=2)
    purge(here, jobs_days=365)
    assert list(events(here)) == [("jobs", jobs)]
    assert count(here, JobRow) == 1
    assert Event.JOB_DONE in {entry.event for entry in Queries(here.database).timeline(uid)}
    assert count(here, ReceiptRow) == 2
    assert closed(here)


def test_file_that_no_row_names_goes_after_a_day_and_no_other(here: Bench, tmp_path: Path) -> None:
    finished(here)
    orphan, young = (here.spool.write("saliency", f"ab{number:030x}", (b"map",)) for number in (1, 2))
    unnamed = here.spool.write("result", f"ab{3:030x}", (b"result",))
    kept = {kind: files(here, kind) for kind in ("instance", "saliency", "result")}
    for path in tmp_path.rglob("*"):
        if path.suffix in (".npy", ".dcm") and path.name != Path(young).name:
            os.utime(path, (time.time() - 2 * 86400,) * 2)
    gone = sum(Orphans(here.database, here.spool, "test").clear_shard(shard) for shard in SHARDS)
    assert gone == 2
    assert not here.spool.path(orphan).exists()
    assert not here.spool.path(unnamed).exists()
    assert {kind: files(here, kind) for kind in kept} == {**kept, "saliency": kept["saliency"] - 1, "result": kept["result"] - 1}
    assert list(events(here)) == [("orphans", 2)]


def test_file_of_a_purged_row_that_a_power_cut_brought_back_goes(here: Bench) -> None:
    uid = finished(here)
    with here.database.reading() as session:
        (name,) = session.scalars(select(InstanceRow.file))
    content = here.spool.path(name).read_bytes()
    purge(here, images_days=365)
    here.spool.path(name).write_bytes(content)
    os.utime(here.spool.path(name), (time.time() - 2 * 86400,) * 2)
    assert Orphans(here.database, here.spool, "test").clear_shard(name.split("/")[1]) == 1
    assert here.story(uid).instances[0].purged_at is not None
    assert files(here, "instance") == 0
