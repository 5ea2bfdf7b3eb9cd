"""Promotion, rollback and retirement on both databases, and what each means for what leaves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from gateway.app.bundle_choice import BundleChoice, BundleWatch
from gateway.app.check import running_lines
from gateway.config import Settings, parse_settings
from gateway.domain.bundle_evidence import BundleEvidence
from gateway.domain.job import JobKind
from gateway.domain.operator import Operator
from gateway.errors import BundleActionError
from gateway.store.alarms import Alarms
from gateway.store.bundles import Bundles, Evidence
from gateway.store.database import Database
from gateway.store.deliveries import Deliveries
from gateway.store.job_queue import JobQueue, enqueue
from gateway.store.queries import Queries
from gateway.store.spool import Spool
from gateway.store.tables import AssessmentRow, AuditEventRow, BundleActRow, BundleVersionRow, DeliveryRow, JobRow, ResultRow
from gateway.store.versions import record_bundle
from gateway.workers.deliver_result import DeliverResult
from tests.integration.bench import MODEL, Bench

OLD, NEW = "a" * 64, "c" * 64
ANNA, BEN = Operator(name="anna", reason="CHG-1"), Operator(name="ben", reason="CHG-1")
EVIDENCE = Evidence(
    figures=BundleEvidence(
        bundle_hash=NEW, with_bone_loss=60, normal=60, auroc=0.8, auroc_low=0.7, sensitivity=0.9, specificity=0.7, from_years=50
    ),
    sha256="e" * 64,
)
DESTINATIONS = [
    {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 1, "class": "clinical"},
    {"name": "bench", "ae_title": "BENCH", "host": "127.0.0.1", "port": 1, "class": "test"},
]


@pytest.fixture
def bundles(database: Database) -> Bundles:
    for bundle_hash in (OLD, NEW):
        record_bundle(
            database, bundle_hash=bundle_hash, weights_sha256="a" * 64, name="n", version="1", intended_use="clinical", actor="test"
        )
    return Bundles(database)


@pytest.fixture
def gateway(bench: Callable[..., Bench], bundles: Bundles) -> Callable[..., Bench]:
    """A gateway that sends to a clinical and a test destination, with a bundle of one's choice."""

    def make(bundle_hash: str, **changes: Any) -> Bench:
        made = bench("all", destinations=DESTINATIONS, routes=[{"name": "r", "policy": "all", "destinations": ["pacs", "bench"]}])
        return replace(made, model=replace(MODEL, bundle_hash=bundle_hash, intended_use="clinical"), **changes)

    return make


def states(database: Database) -> dict[str, str]:
    with database.reading() as session:
        return {row.bundle_hash: row.state for row in session.scalars(select(BundleVersionRow)) if row.bundle_hash in (OLD, NEW)}


def sent_to(here: Bench, key: str) -> list[set[str]]:
    """Destinations of each revision of the study's SR, and its release where it has none."""
    with here.database.reading() as session:
        results = session.scalars(
            select(ResultRow).where(ResultRow.study_instance_uid == here.study(key), ResultRow.kind == "sr").order_by(ResultRow.revision)
        ).all()
        return [
            set(session.scalars(select(DeliveryRow.destination).where(DeliveryRow.result_id == result.id))) or {result.release}
            for result in results
        ]


def test_bundle_that_nobody_has_promoted_is_in_shadow(database: Database, bundles: Bundles) -> None:
    assert states(database) == {OLD: "shadow", NEW: "shadow"}
    assert bundles.live_hash() is None


def test_promotion_is_a_row_and_an_audit_event_with_two_names_and_the_evidence(database: Database, bundles: Bundles) -> None:
    bundles.promote(OLD, ANNA, BEN, EVIDENCE)
    bundles.promote(NEW, ANNA, BEN, EVIDENCE)
    assert states(database) == {OLD: "former", NEW: "live"}
    with database.reading() as session:
        act = session.scalars(select(BundleActRow).order_by(BundleActRow.id.desc())).first()
        event = session.scalars(
            select(AuditEventRow).where(AuditEventRow.event == "bundle:promoted").order_by(AuditEventRow.seq.desc())
        ).first()
    assert act is not None
    assert event is not None
    assert (act.by, act.second, act.reason, act.former_hash, act.evidence_sha256) == (
        "operator:anna",
        "operator:ben",
        "CHG-1",
        OLD,
        "e" * 64,
    )
    assert act.evidence is not None
    assert act.evidence["with_bone_loss"] == 60
    assert event.actor == "operator:anna"
    assert event.detail == {
        "bundle_hash": NEW,
        "former_bundle_hash": OLD,
        "second": "operator:ben",
        "reason": "CHG-1",
        "evidence_sha256": "e" * 64,
    }


def test_rollback_brings_the_former_one_back_and_puts_the_other_in_shadow(database: Database, bundles: Bundles) -> None:
    bundles.promote(OLD, ANNA, BEN, EVIDENCE)
    bundles.promote(NEW, ANNA, BEN, EVIDENCE)
    assert bundles.roll_back(ANNA, None) == (OLD, NEW)
    assert states(database) == {OLD: "live", NEW: "shadow"}
    with pytest.raises(BundleActionError, match="no bundle to go back to"):
        bundles.roll_back(ANNA, None)


def test_what_cannot_be_done_with_a_bundle_is_refused_and_changes_nothing(database: Database, bundles: Bundles) -> None:
    with pytest.raises(BundleActionError, match="no bundle is live"):
        bundles.roll_back(ANNA, None)
    bundles.promote(OLD, ANNA, BEN, EVIDENCE)
    with pytest.raises(BundleActionError, match="it is live"):
        bundles.promote(OLD, ANNA, BEN, EVIDENCE)
    bundles.retire(NEW, ANNA)
    with pytest.raises(BundleActionError, match="it is retired"):
        bundles.promote(NEW, ANNA, BEN, EVIDENCE)
    with pytest.raises(BundleActionError, match="no gateway has opened it"):
        bundles.promote("d" * 64, ANNA, BEN, EVIDENCE)
    assert states(database) == {OLD: "live", NEW: "retired"}


def test_two_promotions_at_once_leave_one_live_bundle(database: Database, bundles: Bundles) -> None:
    errors: list[BaseException] = []

    def promote(bundle_hash: str) -> None:
        try:
            bundles.promote(bundle_hash, ANNA, BEN, EVIDENCE)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=promote, args=(bundle_hash,)) for bundle_hash in (OLD, NEW)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(states(database).values()) == ["former", "live"]


def test_result_of_a_bundle_in_shadow_goes_to_test_destinations_only_and_never_later(
    gateway: Callable[..., Bench], bundles: Bundles
) -> None:
    here = gateway(NEW)
    first = here.receive(1)
    here.work()
    assert sent_to(here, first) == [{"bench"}]
    withheld = [entry.detail for entry in Queries(here.database).timeline(first) if entry.event == "result:withheld"]
    (report,) = (result.sop_instance_uid for result in here.story(first).results if result.kind == "sr")
    assert withheld == [{"release": "withheld_not_live", "destination": "pacs", "sop_instance_uid": report}]
    bundles.promote(NEW, ANNA, BEN, EVIDENCE)
    # a late sibling: the report would show what was seen in shadow
    here.receive(2)
    here.work()
    assert sent_to(here, first) == [{"bench"}, {"bench"}]
    other = here.receive(1, study=2)
    here.work()
    assert sent_to(here, other) == [{"pacs", "bench"}]


def test_settings_that_change_after_the_promotion_open_nothing_of_a_study_of_shadow_times(
    gateway: Callable[..., Bench], bundles: Bundles
) -> None:
    """It is analysed anew under them, under a live bundle: it was seen in shadow all the same."""
    here = gateway(NEW)
    uid = here.receive(1)
    here.work()
    bundles.promote(NEW, ANNA, BEN, EVIDENCE)
    changed = parse_settings({**here.settings.model_dump(mode="json", by_alias=True), "eligibility": {"min_age_years": 49}})
    assert changed.shaping_hash != here.settings.shaping_hash
    later = replace(here, settings=changed)
    later.receive(2)
    later.work()
    assert sent_to(later, uid) == [{"bench"}, {"bench"}]


def test_result_without_a_test_destination_is_withheld_as_not_live(bench: Callable[..., Bench], bundles: Bundles) -> None:
    made = bench("all", destinations=DESTINATIONS, routes=[{"name": "r", "policy": "all", "destinations": ["pacs"]}])
    here = replace(made, model=replace(MODEL, bundle_hash=NEW, intended_use="clinical"))
    key = here.receive(1)
    here.work()
    assert sent_to(here, key) == [{"withheld_not_live"}]


def test_job_that_was_claimed_before_a_promotion_finishes_and_is_sent_by_the_old_bundle(
    gateway: Callable[..., Bench], bundles: Bundles
) -> None:
    bundles.promote(OLD, ANNA, BEN, EVIDENCE)
    here = gateway(OLD)
    key = here.receive(1)
    analyze = here.analyze
    queue = JobQueue(here.database, lease_seconds=60, max_lease_expiries=3)
    (claim,) = queue.claim((JobKind.ANALYZE_INSTANCE,), "host:worker:1")
    begun = analyze.prepare(claim)
    bundles.promote(NEW, ANNA, BEN, EVIDENCE)
    question = analyze.question(begun)
    assert question is not None
    analyze.finish(claim, begun, analyze.answer((question,))[0])
    here.work()
    assert sent_to(here, key) == [{"pacs", "bench"}]
    with here.database.reading() as session:
        assert set(session.scalars(select(AssessmentRow.bundle_hash))) == {OLD}
        assert set(session.scalars(select(ResultRow.bundle_hash))) == {OLD}


def test_worker_that_still_runs_the_old_bundle_leaves_later_studies_to_the_live_one(
    gateway: Callable[..., Bench], bundles: Bundles
) -> None:
    bundles.promote(OLD, ANNA, BEN, EVIDENCE)
    bundles.promote(NEW, ANNA, BEN, EVIDENCE)
    late = gateway(OLD, other_bundles=frozenset({NEW}))
    key = late.receive(1)
    late.work()
    assert sent_to(late, key) == []
    assert [job.state for job in late.story(key).study_jobs] == ["queued"]
    # the worker that is started with the live one
    with late.database.transaction() as session:
        for job in session.scalars(select(JobRow).where(JobRow.kind == JobKind.REPORT_STUDY)):
            job.next_at = job.created_at
    gateway(NEW).work()
    assert sent_to(late, key) == [{"pacs", "bench"}]
    with late.database.reading() as session:
        assert set(session.scalars(select(ResultRow.bundle_hash))) == {NEW}


def test_former_bundle_that_is_run_on_without_the_live_one_is_in_shadow(gateway: Callable[..., Bench], bundles: Bundles) -> None:
    bundles.promote(OLD, ANNA, BEN, EVIDENCE)
    bundles.promote(NEW, ANNA, BEN, EVIDENCE)
    here = gateway(OLD)
    key = here.receive(1)
    here.work()
    assert sent_to(here, key) == [{"bench"}]


def test_after_a_rollback_a_late_sibling_revises_what_the_bundle_had_sent_before(gateway: Callable[..., Bench], bundles: Bundles) -> None:
    bundles.promote(OLD, ANNA, BEN, EVIDENCE)
    here = gateway(OLD)
    key = here.receive(1)
    here.work()
    bundles.promote(NEW, ANNA, BEN, EVIDENCE)
    bundles.roll_back(ANNA, None)
    here.receive(2)
    here.work()
    assert sent_to(here, key) == [{"pacs", "bench"}, {"pacs", "bench"}]


@pytest.mark.parametrize(
    ("act", "code"), [("none", None), ("promotion", None), ("rollback", "bundle_not_live"), ("retire", "bundle_not_live")]
)
def test_last_gate_before_the_network_stops_what_was_rolled_back_or_retired(
    gateway: Callable[..., Bench], bundles: Bundles, spool: Spool, act: str, code: str | None
) -> None:
    bundles.promote(OLD, ANNA, BEN, EVIDENCE)
    running = OLD
    if act == "rollback":
        bundles.promote(NEW, ANNA, BEN, EVIDENCE)
        running = NEW
    here = gateway(running)
    here.receive(1)
    here.work()
    if act == "promotion":
        bundles.promote(NEW, ANNA, BEN, EVIDENCE)
    elif act == "rollback":
        bundles.roll_back(ANNA, None)
    elif act == "retire":
        bundles.retire(OLD, ANNA)
    seen, asked = delivered(here, spool)
    assert seen == {"pacs": code, "bench": None}
    assert asked


def test_last_gate_stops_a_result_of_shadow_times_that_somebody_queues_after_the_promotion(
    gateway: Callable[..., Bench], bundles: Bundles, spool: Spool
) -> None:
    here = gateway(NEW)
    here.receive(1)
    here.work()
    bundles.promote(NEW, ANNA, BEN, EVIDENCE)
    with here.database.transaction() as session:
        result = session.scalars(select(ResultRow).where(ResultRow.kind == "sr")).one()
        delivery = DeliveryRow(id="f" * 32, result_id=result.id, destination="pacs", state="pending", created_at=result.created_at)
        session.add(delivery)
        enqueue(session, JobKind.DELIVER_RESULT, delivery.id, result.study_instance_uid, actor="test", lane="pacs")
    assert delivered(here, spool)[0] == {"pacs": "bundle_not_live", "bench": None}


def delivered(here: Bench, spool: Spool) -> tuple[dict[str, str | None], list[bool]]:
    """By destination the code of what was not sent, None for what would have been; and whether the network was asked."""
    settings: Settings = parse_settings(here.settings.model_dump(mode="json", by_alias=True))
    queue = JobQueue(here.database, lease_seconds=60, max_lease_expiries=3)
    asked: list[bool] = []

    class Scu:
        def send(self, *_: object, **__: object) -> object:
            asked.append(True)
            raise RuntimeError("would have been sent")

    job = DeliverResult(deliveries=Deliveries(here.database), spool=spool, scu=Scu(), settings=settings)  # type: ignore[arg-type]
    seen: dict[str, str | None] = {}
    for _ in range(8):
        for claim in queue.claim((JobKind.DELIVER_RESULT,), "host:sender:1"):
            destination = Deliveries(here.database).get(claim.subject).destination
            try:
                seen[destination] = job.run(claim).code
            except RuntimeError:
                seen[destination] = None
    return seen, asked


def watch(database: Database, *, policy: str, used: str = OLD, others: tuple[str, ...] = ()) -> BundleWatch:
    settings = parse_settings(
        {
            "serve": {"development": True},
            "destinations": DESTINATIONS,
            "routes": [{"name": "r", "policy": policy, "destinations": ["pacs", "bench"]}],
        }
    )
    bundle: Any = SimpleNamespace(identity=SimpleNamespace(bundle_hash=used))
    return BundleWatch(BundleChoice(bundle=bundle, others=frozenset(others), is_live=False), settings, database, threading.Event())


def alarms(database: Database) -> list[tuple[str, str]]:
    return [(alarm.code.value, alarm.reason) for alarm in Alarms(database, "test").standing()]


def test_route_that_waits_for_a_live_bundle_in_vain_is_an_alarm_until_one_is(database: Database, bundles: Bundles) -> None:
    waits = watch(database, policy="all")
    waits.look()
    assert alarms(database) == [("bundle_in_shadow", "no_live_bundle")]
    bundles.promote(OLD, ANNA, BEN, EVIDENCE)
    waits.look()
    assert alarms(database) == []
    bundles.promote(NEW, ANNA, BEN, EVIDENCE)
    waits.look()
    assert alarms(database) == [("bundle_in_shadow", "other_bundle_live")]


@pytest.mark.parametrize("policy", ["shadow", "silent"])
def test_site_that_means_to_be_in_shadow_gets_no_alarm(database: Database, bundles: Bundles, policy: str) -> None:
    assert bundles.live_hash() is None
    watch(database, policy=policy).look()
    assert alarms(database) == []


def test_worker_that_is_about_to_take_the_live_bundle_up_raises_none(database: Database, bundles: Bundles) -> None:
    bundles.promote(NEW, ANNA, BEN, EVIDENCE)
    changing = watch(database, policy="all", others=(NEW,))
    changing.look()
    assert changing.has_changed
    assert alarms(database) == []


def test_check_notes_that_no_bundle_is_live_where_destinations_wait_for_one(gateway: Callable[..., Bench], bundles: Bundles) -> None:
    here = gateway(NEW)

    def told() -> list[str]:
        return [line.code for line in running_lines(here.settings, here.database, config=Path("config.toml"))]

    assert told().count("bundle_not_live") == 1
    bundles.promote(NEW, ANNA, BEN, EVIDENCE)
    assert "bundle_not_live" not in told()
