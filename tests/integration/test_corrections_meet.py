"""Corrections that meet other messages, older files, repeats, retention and second decisions."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text, update

from gateway.domain.answered import OpenedAssociation
from gateway.domain.conflict import ConflictDecision, ConflictReason
from gateway.ops.watches import CorrectionWatch
from gateway.store import corrections
from gateway.store.alarms import Alarms
from gateway.store.conflicts import Conflicts
from gateway.store.correction_figures import CorrectionFigures
from gateway.store.database import Database
from gateway.store.queries import Queries
from gateway.store.receipts import Receipts
from gateway.store.tables import ResultRow
from tests.doubles.key_objects import KOS, encoded, key_objects
from tests.integration.bench import Bench
from tests.integration.correcting import OTHER, case, events, note, outcomes, reports, settle, told_to
from tests.integration.sender_bench import Archive
from tests.integration.test_identity_corrected import STRANGER, alarms, decide, undecided
from tests.integration.test_recheck import recomputed

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(params=["rising", "falling"])
def ids(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Our ids of instances say nothing of their age: whatever goes by them has to be tried in both orders."""
    numbers: Iterator[int] = itertools.count(1) if request.param == "rising" else itertools.count(10**6, -1)
    monkeypatch.setattr("gateway.store.spool.Spool.new_id", lambda _self: f"{next(numbers):032x}")
    return str(request.param)


@only_sqlite
@pytest.mark.parametrize("patient_id", ["P1", ""])
def test_worklist_note_and_corrected_copy_that_come_together_leave_the_copy(bench: Callable[..., Bench], ids: str, patient_id: str) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    note(here, uid, patient_id=patient_id)
    here.receive(1, **OTHER)
    settle(here, archive)
    assert [outcome for outcome, _ in outcomes(here, uid)] == ["excluded_rejected", "assessed"]


@only_sqlite
def test_worklist_note_after_a_copy_in_the_right_study_leaves_the_copy(bench: Callable[..., Bench], ids: str) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    study = here.study(uid)
    here.receive(1, StudyInstanceUID="1.2.3.79")
    settle(here, archive)
    note(here, uid, study=study)
    settle(here, archive)
    assert [outcome for outcome, _ in outcomes(here, uid)] == ["excluded_rejected", "assessed"]
    assert undecided(here) == []


@only_sqlite
def test_worklist_note_that_names_another_study_does_not_wait_for_the_copy_in_the_right_one(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    note(here, "1.2.3.404", study="1.2.4.1")
    settle(here, archive)
    here.receive(1, SOPInstanceUID="1.2.3.404")
    settle(here, archive)
    assert [outcome for outcome, _ in outcomes(here, "1.2.3.404")] == ["assessed"]


@only_sqlite
def test_second_decision_for_the_same_image_brings_its_report_again(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    first = here.story(uid).instances[0].instance_id
    here.receive(1, **STRANGER)
    settle(here, archive)
    decide(here, first, ConflictDecision.KEEP_THIS)
    settle(here, archive)
    here.receive(1, PatientID="P5")
    settle(here, archive)
    assert alarms(here) == ["identity_contested"]
    decide(here, first, ConflictDecision.KEEP_THIS)
    settle(here, archive)
    assert (alarms(here), undecided(here)) == ([], [])
    assert [one.rejection_reason for one in reports(here, uid)] == ["patient_safety", "patient_safety", None]
    assert reports(here, uid)[-1].deliveries


@only_sqlite
def test_corrected_study_has_no_assessment_that_differs(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    right, left = here.receive(1), here.receive(2)
    settle(here, archive)
    note(here, right)
    here.receive(2, **OTHER)
    settle(here, archive)
    assert outcomes(here, left)
    assert [one.differences for one in recomputed(here) if one] == [()]


@only_sqlite
def test_two_notes_that_wait_for_one_image_wait_no_more_when_it_has_come(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    for uid in ("1.2.9.1", "1.2.9.2"):
        note(here, "1.2.3.404", uid=uid, title="113001")
    settle(here, archive)
    here.receive(1, SOPInstanceUID="1.2.3.404")
    settle(here, archive)
    assert case(here, "1.2.3.404").waits_for == 0


@only_sqlite
def test_note_for_a_report_whose_files_are_gone_is_in_its_own_patient(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    here.receive(1, **OTHER)
    settle(here, archive)
    second = reports(here, uid)[-1]
    with here.database.transaction() as session:
        session.execute(update(ResultRow).values(purged_at=datetime.now(UTC)))
    note(here, second.sop_instance_uid, title="113001")
    settle(here, archive)
    assert [str(one.PatientID) for one in archive.notes] == ["P1", "P9"]


@only_sqlite
def test_report_that_was_withheld_as_a_repeat_of_one_that_is_taken_back_is_sent(bench: Callable[..., Bench]) -> None:
    here, archive = bench(results={"repeat_days": 30}), Archive()
    wrong = here.receive(1)
    settle(here, archive)
    later = here.receive(1, study=2, PatientID="P1", StudyDate="20260102", SeriesDate="20260102")
    settle(here, archive)
    assert [one.release for one in reports(here, later)] == ["withheld_repeat"]
    note(here, wrong)
    settle(here, archive)
    assert [one.release for one in reports(here, later)] == ["sent"]
    assert [patient for modality, patient in told_to(archive) if modality == "SR"] == ["P1", "P1"]


def ingest(here: Bench, number: int = 1, **changes: object) -> str:
    receipts = Receipts(here.database, "test", here.spool)
    opened = OpenedAssociation(calling_ae_title="INGEST", called_ae_title="STRNET", peer_address="local", way="ingest")
    receipts.open_association(opened)
    uid = here.receive(number, association=opened.id, **changes)
    receipts.end_association(opened.id, "released")
    return uid


@only_sqlite
@pytest.mark.parametrize("changes", [OTHER, STRANGER], ids=["same_uid", "other_uid"])
def test_file_under_another_patient_takes_no_report_of_what_was_sent_back(bench: Callable[..., Bench], changes: dict[str, object]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    copy = ingest(here, **changes)
    settle(here, archive)
    assert outcomes(here, uid)[0] == ("assessed", "eligible")
    assert outcomes(here, copy)[-1] == ("conflict", "same image, two patients")
    assert {patient for _, patient in told_to(archive)} == {"P1"}
    assert archive.notes == []
    assert alarms(here) == ["identity_contested"]


@only_sqlite
@pytest.mark.parametrize("decision", list(ConflictDecision))
def test_file_under_another_patient_can_be_decided_either_way(bench: Callable[..., Bench], decision: ConflictDecision) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    copy = ingest(here, **STRANGER)
    settle(here, archive)
    (waiting,) = undecided(here)
    Conflicts(here.database).decide(waiting, decision, ConflictReason.WRONG_PATIENT, actor="operator:me")
    settle(here, archive)
    keeps_first = decision is ConflictDecision.KEEP_FIRST
    assert outcomes(here, uid)[0][0] == ("assessed" if keeps_first else "excluded_conflict")
    assert outcomes(here, copy)[0][0] == ("excluded_conflict" if keeps_first else "assessed")
    assert len(archive.notes) == (0 if keeps_first else 1)
    assert (alarms(here), undecided(here)) == ([], [])
    assert all(ledger.closed for ledger in Queries(here.database).status().ledgers)


@only_sqlite
def test_image_that_is_sent_stands_beside_an_older_file_of_another_patient(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    copy = ingest(here, **STRANGER)
    settle(here, archive)
    uid = here.receive(1)
    settle(here, archive)
    assert outcomes(here, uid)[0][0] == "assessed"
    assert outcomes(here, copy)[0][0] == "conflict"
    assert alarms(here) == ["identity_contested"]


@only_sqlite
def test_blank_images_of_two_patients_are_not_one(bench: Callable[..., Bench]) -> None:
    here, archive = bench(results={"report_not_assessed": True}), Archive()
    here.decoder.measures = {"blank": 1e9}
    uid = here.receive(1)
    settle(here, archive)
    other = here.receive(1, **STRANGER)
    settle(here, archive)
    assert [outcome for outcome, _ in outcomes(here, uid) + outcomes(here, other)] == ["quality_blank"] * 2
    assert (archive.notes, alarms(here)) == ([], [])


@only_sqlite
def test_rejected_result_is_told_under_one_case_however_often_it_is_rejected(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    (report,) = reports(here, uid)
    for document in ("1.2.9.1", "1.2.9.2"):
        note(here, report.sop_instance_uid, uid=document, title="113001")
        settle(here, archive)
    story = case(here, uid)
    assert events(story, ["correction:received", "report:retracted"]) == ["correction:received", "report:retracted", "correction:received"]
    assert (story.waits_for, {image.role for image in story.images}) == (0, {"result"})
    assert len(archive.notes) == 1


@only_sqlite
def test_sender_that_takes_much_back_is_an_alarm_until_its_day_is_over(bench: Callable[..., Bench], database: Database) -> None:
    here = bench()
    opened = OpenedAssociation(calling_ae_title="ROGUE", called_ae_title="STRNET", peer_address="local", way="c_store")
    Receipts(database, "test", here.spool).open_association(opened)
    uids = [here.receive(1), here.receive(2)]
    here.take(
        encoded(key_objects("113001", [(uid, here.study(uid)) for uid in uids], uid="1.2.9.1")),
        sop_class_uid=KOS,
        sop_instance_uid="1.2.9.1",
        association=opened.id,
    )
    here.work(rounds=5)
    for many, expected in ((3, []), (2, [("many_corrections", "ROGUE")]), (2, [("many_corrections", "ROGUE")]), (3, [])):
        CorrectionWatch(figures=CorrectionFigures(database), alarms=Alarms(database, "test"), many=many).look()
        assert [(alarm.code.value, alarm.subject) for alarm in Alarms(database, "test").standing()] == expected


def test_image_that_comes_while_a_note_for_it_is_applied_is_rejected(bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    here, archive = bench(), Archive()
    study = here.study(here.receive(2))
    here.work()
    note(here, "1.2.3.404", title="113001", study=study)
    wait, raced = corrections._wait, []

    def image_comes() -> None:
        here.receive(1, SOPInstanceUID="1.2.3.404")
        here.analyze_all()

    def wait_after_the_image(*arguments: Any, **keywords: Any) -> None:
        # SQLite has one writer: there the image waits until the note is applied
        if not raced and here.database.dialect == "postgresql":
            raced.append(threading.Thread(target=image_comes))
            raced[0].start()
            while raced[0].is_alive() and not waits_for_a_lock(here.database):
                raced[0].join(0.05)
        wait(*arguments, **keywords)

    monkeypatch.setattr(corrections, "_wait", wait_after_the_image)
    here.work(rounds=1)
    for thread in raced or [threading.Thread(target=image_comes)]:
        if not raced:
            thread.start()
        thread.join(30)
    settle(here, archive)
    assert outcomes(here, "1.2.3.404") == [("excluded_rejected", "113001")]
    assert case(here, "1.2.3.404").waits_for == 0


def waits_for_a_lock(database: Database) -> bool:
    with database.reading() as session:
        return session.scalar(text("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted LIMIT 1")) is not None
