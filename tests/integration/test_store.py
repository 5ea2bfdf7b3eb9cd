"""The store's promises, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from gateway.domain.answered import OpenedAssociation
from gateway.domain.assessment import Analysis
from gateway.domain.delivery import Verdict
from gateway.domain.identifiers import new_id
from gateway.domain.job import Claim, JobAction, JobKind, JobState
from gateway.domain.operator import Operator
from gateway.domain.outcome import InstanceOutcome, Policy, Release
from gateway.errors import JobActionError, JobNotFoundError, LeaseLostError, NotFoundError, SchemaMismatchError
from gateway.events import Event
from gateway.store import schema
from gateway.store.analyses import Analyses
from gateway.store.audit_log import AuditLog
from gateway.store.database import Database
from gateway.store.deliveries import Attempt, Deliveries
from gateway.store.instances import Instances
from gateway.store.job_acts import JobActs
from gateway.store.job_queue import JobQueue
from gateway.store.queries import Queries
from gateway.store.receipts import Acceptance, Receipts, refusal_of
from gateway.store.result_sets import NewResult, NewResultSet, ResultSets
from gateway.store.results import Results
from gateway.store.spool import Spool
from gateway.store.tables import AuditEventRow, Base, InstanceRow, JobRow, ReceiptRow
from gateway.store.versions import record_bundle, record_config
from tests.integration.store_samples import BUNDLE, SHAPING, assessment, received

SOMEONE = Operator(name="test", reason="T-1")
ALL_KINDS = tuple(JobKind)


class KeepsEverything(Spool):
    """A spool that holds whatever a row names."""

    def holds(self, name: str, at_least: int) -> bool:
        return True


KEEPS = KeepsEverything(Path("nowhere"))


def queue_of(database: Database, *, lease: float = 60, expiries: int = 3) -> JobQueue:
    return JobQueue(database, lease_seconds=lease, max_lease_expiries=expiries)


def count(database: Database, row: type[Base]) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(row)) or 0


def take(database: Database, number: int = 1, **options: str) -> tuple[Acceptance, str]:
    instance_id = new_id()
    acceptance = Receipts(database, "test", KEEPS).commit(
        received(number, **options), instance_id=instance_id, file=f"instance/aa/{instance_id}.dcm", association_id=None
    )
    return acceptance, instance_id


def claim_one(database: Database, kind: JobKind, queue: JobQueue | None = None) -> Claim:
    (claim,) = (queue or queue_of(database)).claim((kind,), "host:worker:1")
    return claim


def record_test_bundle(database: Database, intended_use: str = "demonstration") -> None:
    record_bundle(database, bundle_hash=BUNDLE, weights_sha256="a" * 64, name="n", version="1", intended_use=intended_use, actor="test")


def test_migrations_and_tables_are_the_same_schema(database: Database) -> None:
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_database_of_the_first_schema_is_moved_with_its_assessments(database_url: str) -> None:
    with closing(Database(database_url)) as old:
        schema.migrate(old, "0001")
        with old.engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO instance (id, sop_class_uid, sop_instance_uid, series_instance_uid, study_instance_uid, accession_number,"
                    " patient_id, issuer_of_patient_id, modality, manufacturer, model, station, study_date, transfer_syntax_uid,"
                    " dataset_digest, size, file, received_at, state)"
                    " VALUES ('i1', '1.2', '1.2.3', '1.2.4', '1.2.5', '', 'P', '', 'DX', '', '', '', '', '1.2', 'd', 1, 'f',"
                    " '2026-11-20 00:00:00', 'assessed')"
                )
            )
            connection.execute(
                text(
                    "INSERT INTO assessment (id, instance_id, study_instance_uid, position, laterality, laterality_source, decision,"
                    " logit, score, threshold, covariate_source, region_left, region_top, region_right, region_bottom, quality_flags,"
                    " saliency_file, saliency_digest, preprocessed_digest, pixel_digest, engine_profile, bundle_hash, shaping_hash,"
                    " started_at, created_at)"
                    " VALUES ('a1', 'i1', '1.2.5', 1, 'R', 'tags', 'flagged', 0.5, 62.2, 0.44, 'none', 1, 2, 3, 4, '[\"lossy\"]',"
                    " 's', 'd', 'e', 'p', 'test', 'b', 'c', '2026-11-20 00:00:00', '2026-11-20 00:00:00')"
                )
            )
        with pytest.raises(SchemaMismatchError, match="db migrate"):
            schema.ensure(old)
        schema.migrate(old)
        schema.ensure(old)
        (kept,) = Instances(old).assessments("i1", bundle_hash="b", shaping_hash="c")
    assert kept.reading is not None
    assert (kept.reading.logit, kept.quality_flags, kept.measures, kept.pixel_notes) == (0.5, ("lossy",), {}, ())


def test_delivery_that_waited_before_there_were_lanes_gets_its_destinations(database_url: str) -> None:
    with closing(Database(database_url)) as old:
        schema.migrate(old, "0005")
        with old.engine.begin() as connection:
            for statement in (
                (
                    "INSERT INTO result (id, study_instance_uid, assessment_set, kind, sop_class_uid, sop_instance_uid, series_instance_uid, file,"
                    " sha256, release, route, flagged, revision, bundle_hash, config_hash, created_at)"
                    " VALUES ('r1', '1.2', 's', 'sr', '1.3', '1.4', '1.5', 'f', 'h', 'sent', 'r', false, 1, 'b', 'c', '2026-11-20 00:00:00')"
                ),
                (
                    "INSERT INTO delivery (id, result_id, destination, state, attempts, created_at)"
                    " VALUES ('d1', 'r1', 'pacs', 'pending', 0, '2026-11-20 00:00:00')"
                ),
                (
                    "INSERT INTO job (kind, subject, study_instance_uid, state, attempts, lease_expiries, fence, created_at, next_at)"
                    " VALUES ('deliver_result', 'd1', '1.2', 'queued', 0, 0, 0, '2026-11-20 00:00:00', '2026-11-20 00:00:00')"
                ),
            ):
                connection.exec_driver_sql(statement)
        schema.migrate(old)
        assert [claim.subject for claim in queue_of(old).claim((JobKind.DELIVER_RESULT,), "s", lane="pacs")] == ["d1"]


def test_decision_of_the_network_without_its_reading_is_refused_by_the_database(database: Database) -> None:
    _, instance_id = take(database)
    decide = text(
        "INSERT INTO assessment (id, instance_id, study_instance_uid, position, laterality, laterality_source, decision,"
        " covariate_source, region_left, region_top, region_right, region_bottom, quality_flags, measures, pixel_notes,"
        " preprocessed_digest, pixel_digest, bundle_hash, shaping_hash, started_at, created_at)"
        " VALUES ('a1', :instance, '1.2.5', 1, 'R', 'tags', :decision, 'none', 1, 2, 3, 4, '[]', '{}', '[]', 'e', 'p', 'b', 'c',"
        " '2026-11-20 00:00:00', '2026-11-20 00:00:00')"
    )
    with pytest.raises(IntegrityError), database.engine.begin() as connection:
        connection.execute(decide, {"instance": instance_id, "decision": "flagged"})
    with database.engine.begin() as connection:
        connection.execute(decide, {"instance": instance_id, "decision": "excluded_metal"})


def test_schema_of_another_release_is_refused_with_the_remedy(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatchError, match="db migrate"):
        schema.ensure(database)


def test_new_instance_has_receipt_row_job_and_audit_event_together(database: Database) -> None:
    acceptance, instance_id = take(database)
    assert acceptance is Acceptance.STORED
    assert (count(database, InstanceRow), count(database, ReceiptRow), count(database, JobRow)) == (1, 1, 1)
    events = [entry.event for entry in Queries(database).timeline(instance_id)]
    assert events == ["instance:stored", "job:queued"] or set(events) == {"instance:stored", "job:queued"}


def test_same_instance_again_is_one_more_receipt_and_nothing_else(database: Database) -> None:
    take(database)
    acceptance, _ = take(database)
    assert acceptance is Acceptance.RECEIVED_AGAIN
    assert (count(database, InstanceRow), count(database, ReceiptRow), count(database, JobRow)) == (1, 2, 1)


def test_other_data_set_under_the_same_uid_is_kept_beside_the_first(database: Database) -> None:
    take(database, content="one")
    acceptance, _ = take(database, content="two")
    assert acceptance is Acceptance.STORED
    assert count(database, InstanceRow) == 2


def test_same_instance_over_many_associations_at_once_gives_one_job(database: Database) -> None:
    found: list[Acceptance] = []
    threads = [threading.Thread(target=lambda: found.append(take(database)[0])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["received_again"] * 7 + ["stored"]
    assert (count(database, InstanceRow), count(database, ReceiptRow), count(database, JobRow)) == (1, 8, 1)


@pytest.mark.parametrize("outcome", [InstanceOutcome.LOST, InstanceOutcome.CORRUPT])
def test_lost_instance_that_comes_again_is_queued_again(database: Database, outcome: InstanceOutcome) -> None:
    _, instance_id = take(database)
    claim = claim_one(database, JobKind.ANALYZE_INSTANCE)
    Analyses(database).give_up(claim, Analysis(instance_id=instance_id, outcome=outcome, reason="gone"))
    acceptance, _ = take(database)
    assert acceptance is Acceptance.STORED
    assert claim_one(database, JobKind.ANALYZE_INSTANCE).subject == instance_id


def test_job_is_claimed_once_however_many_workers_ask(database: Database) -> None:
    for number in range(6):
        take(database, number)
    taken: list[int] = []

    def work() -> None:
        taken.extend(claim.job_id for _ in range(6) for claim in queue_of(database).claim(ALL_KINDS, "w"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 6


def test_late_writer_is_rejected_by_its_fence(database: Database) -> None:
    _, instance_id = take(database)
    queue = queue_of(database, lease=0.01)
    late = claim_one(database, JobKind.ANALYZE_INSTANCE, queue)
    assert queue.expire_leases(owner="host:worker:1") == 1
    current = claim_one(database, JobKind.ANALYZE_INSTANCE, queue)
    analysis = Analysis(instance_id=instance_id, outcome=InstanceOutcome.ASSESSED, reason="eligible", assessments=(assessment(),))
    with pytest.raises(LeaseLostError):
        Analyses(database).finish(late, analysis)
    Analyses(database).finish(current, analysis)
    assert len(Instances(database).assessments(instance_id, bundle_hash=BUNDLE, shaping_hash=SHAPING)) == 1


def test_expired_lease_goes_back_without_counting_as_an_attempt_and_ends_in_held(database: Database) -> None:
    take(database)
    queue = queue_of(database, expiries=2)
    for expected in (JobState.QUEUED, JobState.QUEUED, JobState.HELD):
        claim_one(database, JobKind.ANALYZE_INSTANCE, queue)
        queue.expire_leases(owner="host:worker:1")
        (job,) = Queries(database).jobs("")
        assert (job.state, job.attempts) == (expected, 0)
    JobActs(database).act(job.job_id, JobAction.RELEASE, SOMEONE)
    assert claim_one(database, JobKind.ANALYZE_INSTANCE, queue).attempts == 0


def test_lease_that_still_runs_is_left_alone(database: Database) -> None:
    take(database)
    queue = queue_of(database)
    claim_one(database, JobKind.ANALYZE_INSTANCE, queue)
    assert queue.expire_leases() == 0
    assert queue.expire_leases(owner="host:worker:2") == 0


def test_failed_attempt_waits_and_dead_job_can_be_released(database: Database) -> None:
    take(database)
    queue = queue_of(database)
    queue.fail(claim_one(database, JobKind.ANALYZE_INSTANCE, queue), code="failed_timeout", retry_in_seconds=60)
    assert queue.claim(ALL_KINDS, "w") == ()
    (job,) = Queries(database).jobs("retry")
    assert (job.attempts, job.last_code) == (1, "failed_timeout")
    JobActs(database).act(job.job_id, JobAction.HOLD, SOMEONE)
    JobActs(database).act(job.job_id, JobAction.RELEASE, SOMEONE)
    queue.fail(claim_one(database, JobKind.ANALYZE_INSTANCE, queue), code="failed_decode", retry_in_seconds=None)
    assert [job.state for job in Queries(database).jobs("dead")] == ["dead"]


def test_end_of_an_analysis_queues_the_study_report_once(database: Database) -> None:
    for number in (1, 2):
        _, instance_id = take(database, number)
        claim = claim_one(database, JobKind.ANALYZE_INSTANCE)
        Analyses(database).finish(
            claim, Analysis(instance_id=instance_id, outcome=InstanceOutcome.INELIGIBLE_AGE, reason="PatientAge", route="default")
        )
    report = claim_one(database, JobKind.REPORT_STUDY)
    assert report.subject == "1.2.100"
    assert queue_of(database).claim(ALL_KINDS, "w") == ()


def test_report_waits_for_its_open_association_and_for_open_analyses(database: Database) -> None:
    receipts, instances = Receipts(database, "test", KEEPS), Instances(database)
    association = receipts.open_association(
        OpenedAssociation(calling_ae_title="A", called_ae_title="B", peer_address="127.0.0.1", way="c_store")
    )
    receipts.commit(received(), instance_id=new_id(), file="instance/aa/x.dcm", association_id=association)
    assert instances.analysis_is_open("1.2.100")
    assert instances.may_bring_more("1.2.100", settle=timedelta(seconds=60))
    assert not instances.may_bring_more("1.2.100", settle=timedelta(seconds=0))
    receipts.end_association(association, "released")
    assert not instances.may_bring_more("1.2.100", settle=timedelta(seconds=60))


def finished_report(database: Database, *, release: Release = Release.SENT, assessment_set: str = "f" * 64) -> tuple[Claim, NewResultSet]:
    record_test_bundle(database)
    _, instance_id = take(database)
    claim = claim_one(database, JobKind.ANALYZE_INSTANCE)
    Analyses(database).finish(
        claim,
        Analysis(instance_id=instance_id, outcome=InstanceOutcome.ASSESSED, reason="eligible", route="r", assessments=(assessment(),)),
    )
    results = tuple(
        NewResult(
            result_id=new_id(),
            kind=kind,
            sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33",
            sop_instance_uid=f"2.25.{number}",
            series_instance_uid="2.25.99",
            file="result/aa/x.dcm",
            sha256="a" * 64,
        )
        for number, kind in enumerate(("sr", "sc_report_page"), start=1)
    )
    new = NewResultSet(
        study_instance_uid="1.2.100",
        assessment_set=assessment_set,
        results=results,
        release=release,
        route="r",
        flagged=True,
        revision=1,
        predecessor_uid=None,
        repeats_uid=None,
        inputs={},
        patient_digest=None,
        study_date=None,
        told=(),
        routes=("r",),
        policy=Policy.ALL,
        bundle_hash=BUNDLE,
        config_hash="h" * 64,
        destinations=("pacs",),
    )
    return claim_one(database, JobKind.REPORT_STUDY), new


def test_results_and_deliveries_are_committed_with_the_end_of_the_job(database: Database) -> None:
    claim, new = finished_report(database)
    assert ResultSets(database).commit(claim, new)
    assert Results(database).standing("f" * 64) == "exists"
    deliveries = queue_of(database).claim((JobKind.DELIVER_RESULT,), "s", limit=10)
    assert len(deliveries) == 2
    assert Deliveries(database).get(deliveries[0].subject).intended_use == "demonstration"


def test_the_same_results_cannot_be_committed_twice(database: Database) -> None:
    claim, new = finished_report(database)
    assert ResultSets(database).commit(claim, new)
    with database.transaction() as session:
        session.execute(text("UPDATE job SET state = 'running' WHERE kind = 'report_study'"))
    assert not ResultSets(database).commit(claim, new)
    assert len(Results(database).of_study("1.2.100")) == 2


@pytest.mark.parametrize("release", [Release.WITHHELD_SHADOW, Release.WITHHELD_LATE])
def test_withheld_result_is_kept_and_never_queued_for_delivery(database: Database, release: Release) -> None:
    claim, new = finished_report(database, release=release)
    assert ResultSets(database).commit(claim, new)
    assert queue_of(database).claim((JobKind.DELIVER_RESULT,), "s") == ()
    assert {result.release for result in Queries(database).explain("1.2.100").results} == {release.value}


def test_delivery_keeps_the_peers_status_of_every_attempt(database: Database) -> None:
    claim, new = finished_report(database)
    ResultSets(database).commit(claim, new)
    deliveries, queue = Deliveries(database), queue_of(database)
    first = claim_one(database, JobKind.DELIVER_RESULT, queue)
    deliveries.record(first, Attempt(verdict=Verdict.RETRY, code="peer_out_of_resources", dimse_status=0xA700, retry_in_seconds=0))
    (again,) = [c for c in queue.claim((JobKind.DELIVER_RESULT,), "s", limit=5) if c.job_id == first.job_id]
    deliveries.record(again, Attempt(verdict=Verdict.SENT, code="success", dimse_status=0))
    stories = [d for result in Queries(database).explain("1.2.100").results for d in result.deliveries]
    assert sorted((s.state, s.attempts, s.last_status) for s in stories) == [("pending", 0, None), ("sent", 2, "0000")]
    statuses = [
        e.detail["dimse_status"]
        for e in Queries(database).timeline("1.2.100")
        if e.event.startswith("delivery:") and "dimse_status" in e.detail
    ]
    assert statuses == ["A700", "0000"]


def test_audit_events_can_neither_be_changed_nor_deleted(database: Database) -> None:
    AuditLog(database, "test").record(Event.GATEWAY_STARTED)
    for statement in ("UPDATE audit_event SET actor = 'x'", "DELETE FROM audit_event"):
        with pytest.raises(DBAPIError, match="append-only"), database.transaction() as session:
            session.execute(text(statement))
    assert count(database, AuditEventRow) == 1


def test_truncating_or_replacing_does_not_get_past_the_audit(database: Database) -> None:
    AuditLog(database, "test").record(Event.GATEWAY_STARTED)
    statement = (
        "TRUNCATE audit_event" if database.dialect == "postgresql" else "INSERT OR REPLACE INTO audit_event SELECT * FROM audit_event"
    )
    with pytest.raises(DBAPIError, match="append-only"), database.transaction() as session:
        session.execute(text(statement))


def test_failed_transaction_leaves_neither_job_nor_event(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction() as session:
        session.add(
            JobRow(
                kind="report_study",
                subject="1.2",
                study_instance_uid="1.2",
                state="queued",
                created_at=datetime.now(UTC),
                next_at=datetime.now(UTC),
            )
        )
        session.flush()
        raise ZeroDivisionError
    assert count(database, JobRow) == 0


def test_ledgers_close_and_name_what_does_not(database: Database) -> None:
    take(database)
    assert all(ledger.closed for ledger in Queries(database).status().ledgers)
    with database.transaction() as session:
        session.execute(text("DELETE FROM job"))
    open_ledgers = [ledger.name for ledger in Queries(database).status().ledgers if not ledger.closed]
    assert open_ledgers == ["instances"]


@pytest.mark.parametrize("key", ["ACC1", "1.2.3.1", "1.2.200", "1.2.100"])
def test_explain_finds_an_instance_by_every_key_an_operator_has(database: Database, key: str) -> None:
    take(database)
    (story,) = Queries(database).explain(key).instances
    assert (story.state, story.receipts[0].dimse_status, story.jobs[0].kind) == ("stored", "0000", "analyze_instance")


def test_explain_of_a_stranger_says_so(database: Database) -> None:
    with pytest.raises(NotFoundError):
        Queries(database).explain("9.9.9")


def test_refused_instance_is_explained_by_its_uid(database: Database) -> None:
    Receipts(database, "test", KEEPS).refuse(
        refusal_of(
            sop_class_uid="1.2",
            sop_instance_uid="1.2.77",
            transfer_syntax_uid="1.2",
            dimse_status=0xC005,
            reason="pixel_data_truncated",
            association_id=None,
        )
    )
    (refusal,) = Queries(database).explain("1.2.77").refusals
    assert (refusal.dimse_status, refusal.reason) == ("C005", "pixel_data_truncated")


def test_what_is_no_uid_is_not_kept_of_a_refused_instance(database: Database) -> None:
    Receipts(database, "test", KEEPS).refuse(
        refusal_of(
            sop_class_uid="1.2",
            sop_instance_uid="CANARY^NAME",
            transfer_syntax_uid="1.2",
            dimse_status=0xC003,
            reason="uid_illegal",
            association_id=None,
        )
    )
    with database.reading() as session:
        assert session.scalar(select(ReceiptRow.sop_instance_uid)) == "illegal"


def test_configuration_content_is_kept_once_by_its_hash(database: Database) -> None:
    for _ in range(2):
        record_config(database, "h" * 64, {"receiver": {"port": 1}}, actor="test")
    with database.reading() as session:
        assert session.scalar(text("SELECT count(*) FROM config_version")) == 1


def test_error_of_the_database_quotes_no_row(database: Database) -> None:
    with pytest.raises(IntegrityError) as caught, database.transaction() as session:
        session.add(JobRow(kind="report_study", subject="CANARYID", study_instance_uid="1.2", state="queued"))
        session.flush()
    assert "CANARYID" not in str(caught.value).partition("DETAIL")[0]


def test_living_process_keeps_its_lease(database: Database) -> None:
    take(database)
    queue = queue_of(database, lease=0.05)
    claim = claim_one(database, JobKind.ANALYZE_INSTANCE, queue)
    assert queue_of(database, lease=60).renew([claim]) == ()
    assert queue.expire_leases() == 0


def test_act_that_a_job_does_not_know_is_refused_with_its_state(database: Database) -> None:
    take(database)
    queue = queue_of(database)
    claim = claim_one(database, JobKind.ANALYZE_INSTANCE, queue)
    queue.finish(claim)
    with pytest.raises(JobActionError, match="done"):
        JobActs(database).act(claim.job_id, JobAction.RELEASE, SOMEONE)
    with pytest.raises(JobNotFoundError):
        JobActs(database).act(9999, JobAction.RELEASE, SOMEONE)


def test_end_of_the_association_makes_its_waiting_reports_due(database: Database) -> None:
    receipts = Receipts(database, "test", KEEPS)
    association = receipts.open_association(
        OpenedAssociation(calling_ae_title="A", called_ae_title="B", peer_address="127.0.0.1", way="c_store")
    )
    instance_id = new_id()
    receipts.commit(received(), instance_id=instance_id, file="instance/aa/x.dcm", association_id=association)
    claim = claim_one(database, JobKind.ANALYZE_INSTANCE)
    Analyses(database).finish(claim, Analysis(instance_id=instance_id, outcome=InstanceOutcome.INELIGIBLE_AGE, reason="x"))
    queue_of(database).postpone(claim_one(database, JobKind.REPORT_STUDY), seconds=60)
    assert queue_of(database).claim(ALL_KINDS, "w") == ()
    receipts.end_association(association, "released")
    assert claim_one(database, JobKind.REPORT_STUDY).subject == "1.2.100"


def test_explain_of_an_empty_key_is_refused(database: Database) -> None:
    take(database)
    with pytest.raises(NotFoundError):
        Queries(database).explain(" ")
