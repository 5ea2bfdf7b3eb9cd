"""A rejection note (IHE IOCM): a Key Object Selection Document (TID 2010) that tells an archive to let go of one report's results."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from gateway.dicom.uids import SECONDARY_CAPTURE, derived_uid
from gateway.domain.retraction import REJECTION, RejectionReason
from gateway.results import equipment
from gateway.results.built_result import BuiltResult
from gateway.results.evidence import UNICODE, normalised
from gateway.results.moment import moment_of
from gateway.results.outbound_gate import check
from gateway.results.texts import texts_for

_SERIES_NUMBER: Final = 9903


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedInstance:
    """One SR or SC instance that the note names, by its row."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str


def rejection_note(
    header: Dataset, rejected: Sequence[RejectedInstance], *, assessment_set: str, reason: RejectionReason, retracted_at: datetime
) -> BuiltResult:
    """The note, checked. The same rows give the same bytes.

    Parameters
    ----------
    header: of the report that is rejected: patient and study are its, and only what is legal of it is repeated (ADR 0018).
    rejected: every instance of the report.
    retracted_at: aware; the note's time.
    """
    source = normalised(header)
    references = [_reference(source, instance) for instance in sorted(rejected, key=_template_order)]
    # in one language: a note is made again with the same bytes, whatever `results.language` is by then
    texts = texts_for("en").descriptions
    parts = (assessment_set, REJECTION, reason.value)
    document = KeyObjectSelectionDocument(
        evidence=references,
        content=KeyObjectSelection(Code(reason.code_value, "DCM", reason.code_meaning), references, description=texts.rejection_note),
        series_instance_uid=derived_uid((*parts, "series")),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=derived_uid(parts),
        instance_number=1,
        manufacturer=equipment.MANUFACTURER,
        manufacturer_model_name=equipment.MODEL_NAME,
        software_versions=equipment.SOFTWARE_VERSIONS,
        device_serial_number=equipment.SERIAL_NUMBER,
        series_description=texts.rejection_series,
        specific_character_set=UNICODE,
    )
    for item in document.ContentSequence:
        if "ReferencedSOPSequence" in item:
            # highdicom names the purpose of each reference; TID 2010 forbids that in rows 8 and 10
            del item.ConceptNameCodeSequence
    document.copy_patient_and_study_information(references[0])
    # the time of the report's own offset: every result of ours tells it
    equipment.settle_header(document, moment_of(retracted_at, zone="UTC", source=source), texts)
    note = BuiltResult(
        kind=REJECTION,
        sop_class_uid=str(document.SOPClassUID),
        sop_instance_uid=str(document.SOPInstanceUID),
        series_instance_uid=str(document.SeriesInstanceUID),
        content=equipment.part10(document),
    )
    check(note, (source,), names=frozenset(instance.sop_instance_uid for instance in rejected))
    return note


def _template_order(instance: RejectedInstance) -> tuple[bool, str]:
    """TID 2010: IMAGE items (row 8) before COMPOSITE ones (row 10)."""
    return instance.sop_class_uid != SECONDARY_CAPTURE, instance.sop_instance_uid


def _reference(source: Dataset, instance: RejectedInstance) -> Dataset:
    """What highdicom needs of an instance: patient and study of the report, UIDs of the row; rows and columns make it an IMAGE item."""
    reference = deepcopy(source)
    reference.SOPClassUID, reference.SOPInstanceUID = instance.sop_class_uid, instance.sop_instance_uid
    reference.SeriesInstanceUID = instance.series_instance_uid
    if instance.sop_class_uid == SECONDARY_CAPTURE:
        reference.Rows = reference.Columns = 1
    return reference
