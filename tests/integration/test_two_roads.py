"""The same SOP Instance UID by two roads, sent by DCMTK over the wire: receipts, variants, conflicts, and a person's decision."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from sqlalchemy import select

from gateway.domain.assessment import Analysis
from gateway.domain.conflict import ConflictDecision, ConflictReason
from gateway.domain.job import JobKind
from gateway.domain.outcome import InstanceOutcome
from gateway.errors import ConflictError
from gateway.inference.phantoms import phantom_instance, phantom_parameters
from gateway.store.analyses import Analyses
from gateway.store.conflicts import Conflicts
from gateway.store.database import Database
from gateway.store.evidence import Evidence
from gateway.store.instances import Instances
from gateway.store.queries import Queries
from gateway.store.spool import Spool
from gateway.store.tables import AuditEventRow
from tests.integration.bench import Bench, new_bench, patient
from tests.integration.conftest import Receiver
from tests.integration.store_samples import assessment
from tests.integration.test_store import claim_one, queue_of, take
from tests.peers import dcmtk


@pytest.fixture
def here(database: Database, spool: Spool) -> Bench:
    return new_bench(database, spool)


Send = Callable[..., str]


@pytest.fixture
def send(receiver: Receiver, tmp_path: Path) -> Send:
    """Sends a knee from a modality of the given title; changes: of its header. Gives its SOP Instance UID."""
    dcmtk.need()
    base = phantom_instance(patient(1), phantom_parameters(side="R", rows=300, columns=220), instance_number=1)

    def now(calling: str = "XRAY1", *, pixels: int | None = None, **changes: Any) -> str:
        path = tmp_path / f"{calling}.dcm"
        base.save_as(path, enforce_file_format=True)
        instance = dcmread(path)
        for keyword, value in changes.items():
            setattr(instance, keyword, value)
        if pixels is not None:
            instance.PixelData = bytes([pixels]) * len(instance.PixelData)
        instance.save_as(path, enforce_file_format=True)
        assert "Received Store Response (Success)" in dcmtk.storescu([path], port=receiver.port, calling=calling)
        return str(instance.SOPInstanceUID)

    return now


def outcomes(here: Bench, uid: str) -> list[str | None]:
    return sorted((instance.outcome for instance in here.story(uid).instances), key=str)


def reports(here: Bench, uid: str) -> list[int]:
    return [result.revision for result in here.story(uid).results if result.kind == "sr"]


def conflict(here: Bench) -> str:
    (found,) = Conflicts(here.database).open()
    return found.instance_id


def test_same_data_set_from_modality_and_pacs_is_one_instance_with_two_receipts(here: Bench, send: Send) -> None:
    uid = send("XRAY1")
    here.work()
    assert send("PACS") == uid
    here.work()
    assert outcomes(here, uid) == ["assessed"]
    assert [(r.calling_ae_title, r.reason) for r in Evidence(here.database).received(key=uid)] == [
        ("XRAY1", "stored"),
        ("PACS", "received_again"),
    ]
    assert reports(here, uid) == [1]


def test_same_pixels_under_a_corrected_header_are_a_variant_without_a_second_result(here: Bench, send: Send) -> None:
    uid = send("XRAY1")
    here.work()
    send("PACS", StudyDescription="corrected")
    here.work()
    assert outcomes(here, uid) == ["assessed", "variant"]
    assert [r.reason for r in Evidence(here.database).received(key=uid)] == ["stored", "stored"]
    assert reports(here, uid) == [1]


def test_other_pixels_are_a_conflict_that_waits_for_a_person(here: Bench, send: Send) -> None:
    uid = send("XRAY1")
    here.work()
    send("PACS", pixels=7)
    here.work()
    assert outcomes(here, uid) == ["assessed", "conflict"]
    assert reports(here, uid) == [1]
    (found,) = Conflicts(here.database).open()
    assert (found.sop_instance_uid, found.calling_ae_title, found.first_calling_ae_title) == (uid, "PACS", "XRAY1")
    assert found.reason == "same SOP Instance UID, other pixels"
    assert all(ledger.closed for ledger in Queries(here.database).status().ledgers)


def test_two_senders_at_once_end_as_one_assessed_and_one_conflict(here: Bench, send: Send) -> None:
    uids: list[str] = []
    threads = [
        threading.Thread(target=lambda c=calling, p=pixels: uids.append(send(c, pixels=p))) for calling, pixels in (("A", 1), ("B", 2))
    ]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    here.work()
    assert outcomes(here, uids[0]) == ["assessed", "conflict"]


def test_kept_first_lets_the_study_go_on_and_sets_the_other_aside(here: Bench, send: Send) -> None:
    uid = send("XRAY1")
    here.work()
    send("PACS", pixels=7)
    here.work()
    Conflicts(here.database).decide(conflict(here), ConflictDecision.KEEP_FIRST, ConflictReason.SENT_BY_MISTAKE, actor="operator:anna")
    here.work()
    assert outcomes(here, uid) == ["assessed", "excluded_conflict"]
    assert here.story(uid).study_jobs[-1].last_code == "exists"
    here.receive(2)
    here.work()
    assert reports(here, uid) == [1, 2]


def test_kept_this_is_assessed_and_the_report_is_revised(here: Bench, send: Send) -> None:
    uid = send("XRAY1")
    here.work()
    send("PACS", pixels=7)
    here.work()
    chosen = conflict(here)
    Conflicts(here.database).decide(chosen, ConflictDecision.KEEP_THIS, ConflictReason.WRONG_IMAGE, actor="operator:anna")
    here.work()
    states = {instance.instance_id: instance.outcome for instance in here.story(uid).instances}
    assert states.pop(chosen) == "assessed"
    assert list(states.values()) == ["excluded_conflict"]
    assert reports(here, uid) == [1, 2]
    assert Conflicts(here.database).open() == ()
    assert all(ledger.closed for ledger in Queries(here.database).status().ledgers)


def test_decision_is_in_the_audit_with_who_and_why_and_cannot_be_made_twice(here: Bench, send: Send) -> None:
    uid = send("XRAY1")
    here.work()
    send("PACS", StudyInstanceUID="1.2.3.4")
    here.work()
    instance = conflict(here)
    Conflicts(here.database).decide(instance, ConflictDecision.KEEP_FIRST, ConflictReason.WRONG_STUDY, actor="operator:anna")
    with pytest.raises(ConflictError, match="conflicts list"):
        Conflicts(here.database).decide(instance, ConflictDecision.KEEP_THIS, ConflictReason.WRONG_STUDY, actor="operator:bert")
    with here.database.reading() as session:
        rows = session.scalars(select(AuditEventRow).where(AuditEventRow.event == "conflict:decided")).all()
    assert {(row.actor, row.detail["code"], row.detail["reason"]) for row in rows} == {("operator:anna", "keep_first", "wrong_study")}
    assert {row.study_instance_uid for row in rows} == {"1.2.3.4", here.study(uid)}


@pytest.mark.parametrize(("pixels", "outcome"), [("p", "variant"), ("q", "conflict")])
def test_two_workers_that_finish_at_once_assess_one_and_tell_a_variant_from_a_conflict(
    database: Database, pixels: str, outcome: str
) -> None:
    take(database, content="first")
    take(database, content="second")
    queue = queue_of(database)
    claims = [claim_one(database, JobKind.ANALYZE_INSTANCE, queue) for _ in range(2)]
    for claim, seen in zip(claims, ("p", pixels), strict=True):
        assessed = assessment(pixels=seen)
        Analyses(database).finish(
            claim,
            Analysis(
                instance_id=claim.subject,
                outcome=InstanceOutcome.ASSESSED,
                reason="eligible",
                route="r",
                pixel_digest=assessed.pixel_digest,
                assessments=(assessed,),
            ),
        )
    assert [Instances(database).get(claim.subject).outcome for claim in claims] == ["assessed", outcome]
