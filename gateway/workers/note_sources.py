"""What a rejection note is made of: the header of the report that it rejects, and the rows of its results."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydicom.dataset import Dataset

from gateway.dicom.part10 import read_header
from gateway.domain.assessment import StudyResult
from gateway.domain.retraction import RejectionReason
from gateway.results.built_result import BuiltResult
from gateway.results.rejection_note import RejectedInstance, rejection_note
from gateway.store.rejections import Rejections
from gateway.store.spool import Spool


def report_header(spool: Spool, results: Sequence[StudyResult], rejections: Rejections) -> Dataset:
    """Of the first of the results that retention has left; else what the rows know. Patient and study are the same in all of them."""
    for result in _in_order(results):
        if not result.purged:
            spool.read_verified(result.file, result.sha256)
            return read_header(spool.path(result.file))
    known = rejections.described(results[0])
    header = Dataset()
    header.StudyInstanceUID = results[0].study_instance_uid
    header.PatientID, header.IssuerOfPatientID = known.patient_id, known.issuer_of_patient_id
    header.AccessionNumber, header.StudyDate = known.accession_number, known.study_date
    return header


def built_note(
    header: Dataset, results: Sequence[StudyResult], *, assessment_set: str, reason: RejectionReason, retracted_at: datetime
) -> BuiltResult:
    rejected = [
        RejectedInstance(
            sop_class_uid=result.sop_class_uid,
            sop_instance_uid=result.sop_instance_uid,
            series_instance_uid=result.series_instance_uid,
        )
        for result in _in_order(results)
    ]
    return rejection_note(header, rejected, assessment_set=assessment_set, reason=reason, retracted_at=retracted_at)


def _in_order(results: Sequence[StudyResult]) -> list[StudyResult]:
    """However the rows were read: a note that is built again has the same bytes."""
    return sorted(results, key=lambda result: (result.kind, result.sop_instance_uid))
