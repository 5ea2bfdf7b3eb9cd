"""The same image under another patient: whose it is, what is taken back, and when a person has to decide."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update

from gateway.domain.conflict import ConflictDecision, ConflictReason
from gateway.domain.job import JobKind
from gateway.domain.retraction import RejectionReason
from gateway.errors import DecodeError
from gateway.store.conflicts import Conflicts
from gateway.store.queries import Queries
from gateway.store.retractions import retract, standing_reports
from gateway.store.tables import ResultRow
from tests.integration.bench import Bench
from tests.integration.correcting import OTHER, case, events, everything, note, outcomes, reports, settle, told_to
from tests.integration.sender_bench import Archive, queue_of

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NEW = {"SOPInstanceUID": "1.2.3.77", "SeriesInstanceUID": "1.2.3.78", "StudyInstanceUID": "1.2.3.79"}
"""Sent anew, as another examination."""
STRANGER = {**OTHER, **NEW, "AccessionNumber": "ACC9", "StationName": "", "StudyDate": "20260101"}
"""Nothing links it to the first one but its pixels."""


def alarms(here: Bench) -> list[str]:
    return [alarm.code.value for alarm in Queries(here.database).status().alarms]


def undecided(here: Bench) -> list[str]:
    return [one.instance_id for one in Conflicts(here.database).open()]


def decide(here: Bench, instance: str, decision: ConflictDecision) -> None:
    Conflicts(here.database).decide(instance, decision, ConflictReason.WRONG_PATIENT, actor="operator:me")


def test_wrong_patient_story_from_the_first_report_to_the_right_one(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    assert told_to(archive) == [("SR", "P1"), ("OT", "P1"), ("OT", "P1")]
    here.receive(1, **OTHER)
    settle(here, archive)
    assert [outcome for outcome, _ in outcomes(here, uid)] == ["excluded_replaced", "assessed"]
    later = told_to(archive)[3:]
    assert sorted(later) == [("KO", "P1"), ("OT", "P9"), ("OT", "P9"), ("SR", "P9")]
    first, second = reports(here, uid)
    assert (first.rejection_reason, second.rejection_reason, second.predecessor_uid) == ("worklist", None, None)
    assert archive.notes[0].ConceptNameCodeSequence[0].CodeValue == "113038"
    story = case(here, uid)
    assert (story.state, story.reason) == ("settled", "other_patient")
    assert all(ledger.closed for ledger in Queries(here.database).status().ledgers)
    assert alarms(here) == []


@only_sqlite
def test_note_of_the_right_patients_report_names_that_patient_also_when_its_files_are_gone(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    here.receive(1, **OTHER)
    settle(here, archive)
    (right,) = (one for one in reports(here, uid) if one.rejection_reason is None)
    with here.database.transaction() as session:
        session.execute(update(ResultRow).values(purged_at=datetime.now(UTC)))
        (wanted,) = standing_reports(session, here.study(uid))
        retract(session, assessment_set=wanted, reason=RejectionReason.QUALITY, actor="operator:me", cause="T")
    settle(here, archive)
    note = archive.notes[-1]
    assert str(right.sop_instance_uid) in {str(uid) for uid in _named(note)}
    assert str(note.PatientID) == "P9"


def _named(note: Any) -> list[str]:
    return [item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in note.ContentSequence if "ReferencedSOPSequence" in item]


@only_sqlite
def test_both_messages_again_change_nothing(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    here.receive(1, **OTHER)
    settle(here, archive)
    before, held = everything(here), len(archive.held)
    for changes in ({}, OTHER, {}):
        here.receive(1, **changes)
        settle(here, archive)
    assert (everything(here), len(archive.held)) == (before, held)
    assert len(here.story(uid).cases) == 1


@only_sqlite
def test_report_that_was_not_sent_yet_never_is(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    here.receive(1)
    here.work(rounds=5)
    here.receive(1, **OTHER)
    settle(here, archive)
    assert {patient for _, patient in told_to(archive)} == {"P9"}
    assert archive.notes == []


@only_sqlite
@pytest.mark.parametrize(
    "link", [{"AccessionNumber": "ACC1"}, {"StudyInstanceUID": None}, {"SeriesInstanceUID": None}], ids=["accession", "study", "series"]
)
def test_new_uid_for_the_same_pixels_is_a_correction_where_something_links_them(bench: Callable[..., Bench], link: dict[str, Any]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    changes = {key: value for key, value in {**STRANGER, **link}.items() if value is not None}
    here.receive(1, **changes)
    settle(here, archive)
    assert outcomes(here, uid) == [("excluded_replaced", "other_patient")]
    assert [outcome for outcome, _ in outcomes(here, "1.2.3.77")] == ["assessed"]
    assert len(archive.notes) == 1
    assert case(here, uid).case_id == case(here, "1.2.3.77").case_id


def test_pixels_that_two_unlinked_patients_claim_are_nobodys_until_a_person_decides(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    here.receive(1, **STRANGER)
    settle(here, archive)
    assert outcomes(here, uid) + outcomes(here, "1.2.3.77") == [("conflict", "same image, two patients")] * 2
    assert archive.notes[0].ConceptNameCodeSequence[0].CodeValue == "113037"
    assert {patient for _, patient in told_to(archive)} == {"P1"}
    assert alarms(here) == ["identity_contested"]
    assert case(here, uid).state == "held"
    assert len(undecided(here)) == 2


@only_sqlite
def test_decided_for_the_second_patient_it_gets_its_result(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    here.receive(1, **STRANGER)
    settle(here, archive)
    decide(here, here.story("1.2.3.77").instances[0].instance_id, ConflictDecision.KEEP_THIS)
    settle(here, archive)
    assert (outcomes(here, uid)[0][0], outcomes(here, "1.2.3.77")[0][0]) == ("excluded_conflict", "assessed")
    assert told_to(archive)[-3:] == [("SR", "P9"), ("OT", "P9"), ("OT", "P9")]
    assert (alarms(here), undecided(here), case(here, uid).state) == ([], [], "decided")


@only_sqlite
def test_decided_for_the_first_patient_its_report_is_made_again_under_new_uids(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    here.receive(1, **STRANGER)
    settle(here, archive)
    decide(here, here.story("1.2.3.77").instances[0].instance_id, ConflictDecision.KEEP_FIRST)
    settle(here, archive)
    first, second = reports(here, uid)
    assert (first.rejection_reason, second.rejection_reason, second.release) == ("patient_safety", None, "sent")
    assert first.sop_instance_uid != second.sop_instance_uid
    assert told_to(archive)[-3:] == [("SR", "P1"), ("OT", "P1"), ("OT", "P1")]
    assert (alarms(here), undecided(here)) == ([], [])


@only_sqlite
def test_contest_that_a_note_has_thinned_out_can_still_be_decided(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    here.receive(1, **STRANGER)
    settle(here, archive)
    note(here, uid)
    settle(here, archive)
    (left,) = undecided(here)
    assert alarms(here) == ["identity_contested"]
    decide(here, left, ConflictDecision.KEEP_THIS)
    settle(here, archive)
    assert (outcomes(here, uid)[0][0], outcomes(here, "1.2.3.77")[0][0]) == ("excluded_rejected", "assessed")
    assert (alarms(here), undecided(here)) == ([], [])


def test_there_and_back_again_ends_with_a_person(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    here.receive(1, **OTHER)
    settle(here, archive)
    for turn in range(3):
        here.receive(1, StudyDescription=f"back again {turn}")
        settle(here, archive)
        here.receive(1, StudyDescription=f"and forth {turn}", **OTHER)
        settle(here, archive)
    assert {outcome for outcome, _ in outcomes(here, uid)} == {"excluded_replaced", "conflict"}
    assert len(reports(here, uid)) == 2
    assert len(archive.notes) == 2
    assert (alarms(here), case(here, uid).state) == (["identity_contested"], "held")


@only_sqlite
def test_what_a_person_has_decided_no_message_overrules(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    here.receive(1, **STRANGER)
    settle(here, archive)
    decide(here, here.story(uid).instances[0].instance_id, ConflictDecision.KEEP_THIS)
    settle(here, archive)
    here.receive(1, PatientID="P5")
    settle(here, archive)
    assert [outcome for outcome, _ in outcomes(here, uid)] == ["conflict", "conflict"]
    assert alarms(here) == ["identity_contested"]


@only_sqlite
@pytest.mark.parametrize("first", ["original", "copy"])
def test_copy_without_identity_is_no_correction(bench: Callable[..., Bench], first: str) -> None:
    here, archive = bench(), Archive()
    roads: tuple[dict[str, object], ...] = ({}, {**STRANGER, "AccessionNumber": "ACC1", "PatientIdentityRemoved": "YES"})
    for changes in roads if first == "original" else roads[::-1]:
        uid = here.receive(1, **changes)
        settle(here, archive)
    assert archive.notes == []
    assert len([one for one in told_to(archive) if one[0] == "SR"]) == 2
    assert here.story(uid).cases == ()


@only_sqlite
@pytest.mark.parametrize("changes", [{"IssuerOfPatientID": "H"}, {"PatientName": "A^B^C"}], ids=str)
def test_same_patient_by_another_road_is_no_correction(bench: Callable[..., Bench], changes: dict[str, object]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    here.receive(1, **changes)
    settle(here, archive)
    assert [outcome for outcome, _ in outcomes(here, uid)] == ["assessed", "variant"]
    assert (archive.notes, here.story(uid).cases) == ([], ())


@only_sqlite
def test_older_message_that_is_analysed_last_does_not_win(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    (late,) = queue_of(here).claim((JobKind.ANALYZE_INSTANCE,), "test:worker:2")
    here.receive(1, **OTHER)
    settle(here, archive)
    queue_of(here).give_back(late)
    settle(here, archive)
    assert [outcome for outcome, _ in outcomes(here, uid)] == ["excluded_replaced", "assessed"]
    assert {patient for _, patient in told_to(archive)} == {"P9"}


@only_sqlite
def test_corrected_image_that_is_not_eligible_takes_the_report_back_all_the_same(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    here.receive(1, PatientBirthDate="20000101", **OTHER)
    settle(here, archive)
    assert [outcome for outcome, _ in outcomes(here, uid)] == ["excluded_replaced", "ineligible_age"]
    assert len(archive.notes) == 1


@only_sqlite
def test_image_of_another_patient_that_cannot_be_decoded_contests_the_first(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    here.decoder.error = DecodeError()
    here.receive(1, **OTHER)
    settle(here, archive)
    assert [outcome for outcome, _ in outcomes(here, uid)] == ["conflict", "conflict"]
    assert len(archive.notes) == 1


@only_sqlite
def test_other_pixels_under_the_uid_stay_a_conflict_and_the_first_report_stands(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    pixels = b"\x07" * (300 * 220 * 2)
    here.receive(1, PixelData=pixels, **OTHER)
    settle(here, archive)
    assert [outcome for outcome, _ in outcomes(here, uid)] == ["assessed", "conflict"]
    assert (archive.notes, here.story(uid).cases) == ([], ())


@only_sqlite
def test_conflict_that_is_decided_for_the_other_patient_takes_the_first_report_back(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    here.receive(1, PixelData=b"\x07" * (300 * 220 * 2), **OTHER)
    settle(here, archive)
    (instance,) = undecided(here)
    decide(here, instance, ConflictDecision.KEEP_THIS)
    settle(here, archive)
    assert reports(here, uid)[0].rejection_reason == "worklist"
    assert [str(one.PatientID) for one in archive.notes] == ["P1"]
    assert case(here, uid).reason == "operator"


@only_sqlite
def test_correction_while_the_first_report_is_sent_rejects_it_afterwards(bench: Callable[..., Bench]) -> None:
    from tests.integration.sender_bench import deliver

    here, archive = bench(), Archive()
    here.receive(1)
    here.work(rounds=5)

    def meanwhile() -> None:
        here.receive(1, **OTHER)
        here.work(rounds=5)

    archive.during = meanwhile
    deliver(here, archive)
    settle(here, archive)
    assert told_to(archive)[0] == ("SR", "P1")
    assert sorted(told_to(archive)[1:]) == [("KO", "P1"), ("OT", "P9"), ("OT", "P9"), ("SR", "P9")]


def test_two_analyses_that_end_at_once_leave_one_patient(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    here.receive(1)
    here.receive(1, **{**STRANGER, "AccessionNumber": "ACC1"})
    gate, read_all = threading.Barrier(2, timeout=20), here.analyzer.read_all

    def read_together(asked: Any) -> Any:
        gate.wait()
        return read_all(asked)

    here.analyzer.read_all = read_together  # type: ignore[method-assign]
    threads = [threading.Thread(target=here.work, kwargs={"rounds": 1}) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    here.analyzer.read_all = read_all  # type: ignore[method-assign]
    settle(here, archive)
    assert [patient for modality, patient in told_to(archive) if modality == "SR"] == ["P9"]


@only_sqlite
def test_story_names_the_sender_and_every_step(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    here.receive(1, **OTHER)
    settle(here, archive)
    steps = ["result:built", "correction:received", "correction:applied", "report:retracted", "report:rejected"]
    told = events(case(here, uid), steps)
    assert told.index("result:built") < told.index("correction:received") < told.index("report:retracted") < told.index("report:rejected")
    assert told.count("result:built") >= 6
