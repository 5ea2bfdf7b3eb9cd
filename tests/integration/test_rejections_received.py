"""Rejection notes that come in: what they name is withdrawn, whenever they come, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.domain.job import JobKind
from gateway.store.database import Database
from gateway.store.queries import Queries
from gateway.store.result_sets import ResultSets
from tests.doubles.key_objects import KOS, QUALITY, RETENTION, SAFETY, WORKLIST, code, encoded, key_objects
from tests.integration.bench import Bench
from tests.integration.correcting import OTHER, case, deliveries, events, everything, note, outcomes, reports, settle, told_to
from tests.integration.sender_bench import Archive, deliver, queue_of

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.mark.parametrize("title", [QUALITY, SAFETY, WORKLIST])
def test_image_that_is_rejected_takes_its_report_back(bench: Callable[..., Bench], title: str) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    note(here, uid, title=title)
    settle(here, archive)
    assert outcomes(here, uid) == [("excluded_rejected", title)]
    assert [modality for modality, _ in told_to(archive)] == ["SR", "OT", "OT", "KO"]
    (rejection,) = archive.notes
    assert rejection.ConceptNameCodeSequence[0].CodeValue == title
    assert reports(here, uid)[0].rejection_reason is not None
    assert all(ledger.closed for ledger in Queries(here.database).status().ledgers)


@only_sqlite
def test_report_that_waits_is_cancelled_and_never_sent(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    here.work(rounds=5)
    note(here, uid)
    settle(here, archive)
    assert archive.held == []
    assert deliveries(here, uid) == [["cancelled"]]


def test_same_note_again_and_another_one_for_the_same_image_change_nothing(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    note(here, uid)
    settle(here, archive)
    before, held = everything(here), len(archive.held)
    note(here, uid)
    settle(here, archive)
    assert (everything(here), len(archive.held)) == (before, held)
    note(here, uid, uid="1.2.9.2")
    settle(here, archive)
    after = everything(here)
    assert (after["told"], after["result"], after["delivery"], len(archive.held)) == (
        before["told"],
        before["result"],
        before["delivery"],
        held,
    )
    assert len(here.story(uid).cases) == 1


@only_sqlite
def test_rest_of_the_study_is_reported_anew_without_a_rejected_predecessor(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    right, left = here.receive(1), here.receive(2)
    settle(here, archive)
    note(here, right)
    settle(here, archive)
    first, second = reports(here, left)
    assert (first.rejection_reason, second.rejection_reason, second.release) == ("worklist", None, "sent")
    assert second.predecessor_uid is None
    text = here.sr_text(second.sop_instance_uid)
    assert "Left" in text
    assert "Right" not in text


@only_sqlite
def test_expired_retention_withdraws_nothing(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    document = note(here, uid, title=RETENTION)
    settle(here, archive)
    assert outcomes(here, uid) == [("assessed", "eligible")]
    assert outcomes(here, document) == [("correction", RETENTION)]
    assert archive.notes == []
    assert [image.role for image in case(here, uid).images] == ["named"]


@only_sqlite
@pytest.mark.parametrize("options", [{"title": "113000"}, {"scheme": "99X"}], ids=str)
def test_other_key_objects_are_kept_and_do_nothing(bench: Callable[..., Bench], options: dict[str, Any]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    document = note(here, uid, **options)
    settle(here, archive)
    assert outcomes(here, document) == [("ineligible_key_object", "rejects_nothing")]
    assert outcomes(here, uid) == [("assessed", "eligible")]
    assert here.story(uid).cases == ()


@pytest.mark.parametrize("title", [QUALITY, WORKLIST])
def test_note_that_comes_before_its_image_waits_for_it(bench: Callable[..., Bench], title: str) -> None:
    here, archive = bench(), Archive()
    study = here.study(uid := here.receive(2))
    first = here.receive(1)
    here = bench()  # the same store, nothing worked off yet
    other = note(here, "1.2.3.404", title=title, study=study)
    settle(here, archive)
    assert case(here, other).waits_for == 1
    here.receive(3, SOPInstanceUID="1.2.3.404")
    settle(here, archive)
    assert outcomes(here, "1.2.3.404") == [("excluded_rejected", title)]
    assert case(here, other).waits_for == 0
    assert {first, uid} & {image.sop_instance_uid for image in case(here, other).images} == set()
    assert "1.2.3.404" not in " ".join(here.sr_text(one.sop_instance_uid) for one in reports(here, uid))


@only_sqlite
def test_corrected_copy_under_the_same_uid_is_assessed_after_a_worklist_rejection(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    note(here, uid)
    settle(here, archive)
    here.receive(1, **OTHER)
    settle(here, archive)
    assert [outcome for outcome, _ in outcomes(here, uid)] == ["excluded_rejected", "assessed"]
    assert told_to(archive)[-3:] == [("SR", "P9"), ("OT", "P9"), ("OT", "P9")]
    assert {image.role for image in case(here, uid).images} == {"rejected", "replacement"}


@only_sqlite
@pytest.mark.parametrize(("patient_id", "outcome"), [("P1", "assessed"), ("", "assessed"), ("P9", "excluded_rejected")])
def test_worklist_rejection_after_the_corrected_copy_means_the_wrong_one(
    bench: Callable[..., Bench], patient_id: str, outcome: str
) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    here.receive(1, **OTHER)
    settle(here, archive)
    note(here, uid, patient_id=patient_id)
    settle(here, archive)
    assert [one for one, _ in outcomes(here, uid)] == ["excluded_replaced", outcome]
    assert len(here.story(uid).cases) == 1


@only_sqlite
@pytest.mark.parametrize("title", [QUALITY, SAFETY])
def test_image_that_is_bad_itself_stays_rejected_under_every_patient(bench: Callable[..., Bench], title: str) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    note(here, uid, title=title)
    here.receive(1, **OTHER)
    settle(here, archive)
    assert [outcome for outcome, _ in outcomes(here, uid)] == ["excluded_rejected", "excluded_rejected"]


@only_sqlite
def test_variants_of_a_rejected_image_are_rejected_with_it(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    here.receive(1, StudyDescription="by another road")
    settle(here, archive)
    note(here, uid)
    here.receive(1, StudyDescription="by a third road")
    settle(here, archive)
    assert [outcome for outcome, _ in outcomes(here, uid)] == ["excluded_rejected"] * 3


def test_note_that_comes_while_its_image_is_analysed_holds(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    read_all = here.analyzer.read_all

    def read_after_the_note(asked: Any) -> Any:
        here.analyzer.read_all = read_all  # type: ignore[method-assign]
        note(here, uid)
        here.work(rounds=2)
        return read_all(asked)

    here.analyzer.read_all = read_after_the_note  # type: ignore[method-assign]
    settle(here, archive)
    assert outcomes(here, uid) == [("excluded_rejected", WORKLIST)]
    assert archive.held == []


@only_sqlite
def test_note_that_comes_while_the_report_is_built_leaves_no_report(bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    commit, raced = ResultSets.commit, []

    def commit_after_the_note(self: ResultSets, *arguments: Any) -> bool:
        if not raced:
            raced.append(True)
            note(here, uid)
            here.work(rounds=2)
        return commit(self, *arguments)

    monkeypatch.setattr(ResultSets, "commit", commit_after_the_note)
    settle(here, archive)
    assert raced
    assert reports(here, uid) == []
    assert archive.held == []


@only_sqlite
def test_note_that_comes_while_the_report_is_sent_rejects_it_afterwards(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    here.work(rounds=5)

    def meanwhile() -> None:
        note(here, uid)
        here.work(rounds=3)

    archive.during = meanwhile
    deliver(here, archive)
    settle(here, archive)
    assert archive.kinds == ["SR", "KO"]


@only_sqlite
def test_rejected_image_whose_file_was_lost_does_not_come_back_to_life(bench: Callable[..., Bench]) -> None:
    from gateway.store.inventory import Inventory

    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    note(here, uid)
    settle(here, archive)
    (instance,) = here.story(uid).instances
    from gateway.store.instances import Instances

    file = Instances(here.database).get(instance.instance_id).file
    here.spool.remove(file)
    Inventory(here.database, "test").mark_lost(instance.instance_id, file)
    here.receive(1)
    settle(here, archive)
    assert outcomes(here, uid) == [("excluded_rejected", WORKLIST)]
    assert len(reports(here, uid)) == 1


@only_sqlite
def test_note_of_a_gateway_is_not_acted_upon(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    document = key_objects(WORKLIST, [(uid, here.study(uid))], uid="1.2.9.1")
    document.ManufacturerModelName = "strnet-gateway"
    here.take(encoded(document), sop_class_uid=KOS, sop_instance_uid="1.2.9.1")
    settle(here, archive)
    assert outcomes(here, uid) == [("assessed", "eligible")]
    assert len(here.story(uid).instances) == 1


@only_sqlite
def test_result_of_ours_that_somebody_rejects_is_taken_back_whole(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    (report,) = reports(here, uid)
    note(here, report.sop_instance_uid, title=QUALITY)
    settle(here, archive)
    assert reports(here, uid)[0].rejection_reason == "quality"
    assert outcomes(here, uid) == [("assessed", "eligible")]
    assert len(archive.notes) == 1


@only_sqlite
def test_note_that_cannot_be_understood_is_kept_for_a_person(bench: Callable[..., Bench], database: Database) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    document = key_objects(WORKLIST, [(uid, here.study(uid))], uid="1.2.9.1")
    inner = document.ContentSequence[0]
    for _ in range(30):
        inner.ContentSequence = [code("1", "DCM", "x")]
        inner = inner.ContentSequence[0]
    here.take(encoded(document), sop_class_uid=KOS, sop_instance_uid="1.2.9.1")
    settle(here, archive)
    assert outcomes(here, "1.2.9.1") == [("failed_key_object", "KeyObjectError")]
    assert [(job.kind, job.state) for job in Queries(database).jobs("dead")] == [("apply_correction", "dead")]
    assert [alarm.code for alarm in Queries(database).status().alarms] == ["correction_failed"]
    assert outcomes(here, uid) == [("assessed", "eligible")]


@only_sqlite
def test_case_tells_the_story_in_order(bench: Callable[..., Bench]) -> None:
    here, archive = bench(), Archive()
    uid = here.receive(1)
    settle(here, archive)
    note(here, uid)
    settle(here, archive)
    told = [
        "instance:stored",
        "instance:assessed",
        "result:built",
        "delivery:sent",
        "correction:received",
        "correction:applied",
        "report:retracted",
        "report:rejected",
    ]
    first_of_each = list(dict.fromkeys(events(case(here, uid), told)))
    assert first_of_each == told
    assert here.story(here.study(uid)).cases == here.story(uid).cases == here.story("1.2.9.1").cases == here.story("ACC1").cases


@only_sqlite
def test_waiting_analysis_of_a_rejected_image_is_cancelled(bench: Callable[..., Bench]) -> None:
    here = bench()
    uid = here.receive(1)
    note(here, uid)
    (claim,) = queue_of(here).claim((JobKind.APPLY_CORRECTION,), "test:worker:1")
    from gateway.dicom.key_objects import read_key_objects
    from gateway.store.corrections import Corrections
    from gateway.store.instances import Instances

    path = here.spool.path(Instances(here.database).get(claim.subject).file)
    Corrections(here.database).apply(claim, read_key_objects(path))
    states = [(job.kind, job.state) for instance in here.story(uid).instances for job in instance.jobs]
    assert ("analyze_instance", "cancelled") in states
    assert all(ledger.closed for ledger in Queries(here.database).status().ledgers)
