"""What a rejection note holds, and what the check before sending refuses of one."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread

from gateway.dicom.uids import KEY_OBJECT_SELECTION, SECONDARY_CAPTURE
from gateway.domain.retraction import RejectionReason
from gateway.errors import OutboundGateError
from gateway.results.built_result import BuiltResult
from gateway.results.equipment import part10
from gateway.results.outbound_gate import check
from gateway.results.rejection_note import RejectedInstance, rejection_note
from tests.conformance.cases import reduced
from tests.conformance.notes import RETRACTED_AT, built, note_of

RESULTS = built(next(reduced()))
SR = dcmread(BytesIO(RESULTS[0].content))


def note(reason: RejectionReason = RejectionReason.WORKLIST, **changes: str) -> BuiltResult:
    return note_of(RESULTS, reason, **changes)


def read(one: BuiltResult) -> Dataset:
    return dcmread(BytesIO(one.content))


def test_note_names_every_result_with_its_series_and_class() -> None:
    found = read(note())
    (study,) = found.CurrentRequestedProcedureEvidenceSequence
    named = {
        (str(series.SeriesInstanceUID), str(one.ReferencedSOPClassUID), str(one.ReferencedSOPInstanceUID))
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }
    assert named == {(one.series_instance_uid, one.sop_class_uid, one.sop_instance_uid) for one in RESULTS}
    assert [item.ValueType for item in found.ContentSequence] == ["TEXT", "IMAGE", "IMAGE", "IMAGE", "COMPOSITE"]
    assert (found.SOPClassUID, found.Modality, found.ManufacturerModelName) == (KEY_OBJECT_SELECTION, "KO", "strnet-gateway")


def test_note_has_the_reports_patient_and_study() -> None:
    found = read(note())
    for keyword in (
        "PatientID",
        "PatientName",
        "PatientBirthDate",
        "PatientSex",
        "StudyInstanceUID",
        "StudyID",
        "StudyDate",
        "AccessionNumber",
    ):
        assert str(found.get(keyword)) == str(SR.get(keyword))


def test_note_repeats_nothing_that_is_illegal() -> None:
    header = dcmread(BytesIO(RESULTS[0].content))
    header["PatientSex"]._value = "X-RAY"
    header["PatientID"]._value = "P" * 70
    rejected = RejectedInstance(sop_class_uid=SECONDARY_CAPTURE, sop_instance_uid="2.25.1", series_instance_uid="2.25.2")
    found = read(rejection_note(header, [rejected], assessment_set="a" * 64, reason=RejectionReason.QUALITY, retracted_at=RETRACTED_AT))
    assert (found.PatientSex, found.PatientID) == ("", "")


@pytest.mark.parametrize("reason", list(RejectionReason))
def test_title_is_the_reasons(reason: RejectionReason) -> None:
    title = read(note(reason)).ConceptNameCodeSequence[0]
    assert (title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning) == (reason.code_value, "DCM", reason.code_meaning)


def test_same_rows_give_the_same_bytes_in_any_order_and_another_reason_another_note() -> None:
    assert note().content == note_of((RESULTS[0], *RESULTS[:0:-1]), RejectionReason.WORKLIST).content
    uids = {one.sop_instance_uid for one in (note(), note(RejectionReason.QUALITY), note(assessment_set="b" * 64))}
    assert len(uids) == 3
    assert uids.isdisjoint({one.sop_instance_uid for one in RESULTS})


def refused(change: str) -> BuiltResult:
    """A note with one thing wrong."""
    found = read(note())
    if change == "title":
        found.ConceptNameCodeSequence[0].CodeValue = "113000"
    elif change == "patient":
        found.PatientID = "SOMEBODY"
    elif change == "content":
        del found.ContentSequence[-1]
    elif change == "evidence":
        del found.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    elif change == "study":
        found.CurrentRequestedProcedureEvidenceSequence[0].StudyInstanceUID = "1.2.3"
    return replace(note(), content=part10(found))


@pytest.mark.parametrize("change", ["title", "patient", "content", "evidence", "study"])
def test_gate_refuses_a_note_with_something_wrong(change: str) -> None:
    with pytest.raises(OutboundGateError):
        check(refused(change), (SR,))


def test_gate_refuses_a_note_that_names_another_instance_than_the_reports() -> None:
    with pytest.raises(OutboundGateError):
        check(note(), (SR,), names=frozenset({RESULTS[0].sop_instance_uid}))
