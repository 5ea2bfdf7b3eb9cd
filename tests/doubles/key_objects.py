"""Key Object Selection Documents as an archive or a workstation writes them (PS3.3 A.35.4, PS3.16 TID 2010)."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, KeyObjectSelectionDocumentStorage

KOS = str(KeyObjectSelectionDocumentStorage)
DX = "1.2.840.10008.5.1.4.1.1.1.1"
EXPLICIT, IMPLICIT = str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)
QUALITY, SAFETY, WORKLIST, RETENTION = "113001", "113037", "113038", "113039"


def code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def reference(uid: str, sop_class: str = DX) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
    return item


def key_objects(
    title: str, named: Sequence[tuple[str, str]], *, uid: str, patient_id: str = "P1", scheme: str = "DCM", evidence: bool = True
) -> Dataset:
    """named: SOP Instance UIDs with their studies."""
    document = Dataset()
    document.SOPClassUID, document.SOPInstanceUID = KOS, uid
    document.StudyInstanceUID, document.SeriesInstanceUID = named[0][1] if named else "1.2.3.9", f"{uid}.1"
    document.Modality, document.Manufacturer, document.ManufacturerModelName = "KO", "Somebody", "Archive"
    document.PatientID, document.PatientName, document.PatientBirthDate, document.PatientSex = patient_id, "A^B", "19500101", "F"
    document.StudyDate = document.ContentDate = "20260101"
    document.StudyTime = document.ContentTime = "000000"
    document.AccessionNumber = document.ReferringPhysicianName = document.StudyID = ""
    document.SeriesNumber = document.InstanceNumber = 1
    document.ReferencedPerformedProcedureStepSequence = []
    document.ValueType, document.ContinuityOfContent = "CONTAINER", "SEPARATE"
    document.ConceptNameCodeSequence = [code(title, scheme, "title")]
    document.ContentSequence = [_image(one) for one, _study in named]
    if evidence:
        document.CurrentRequestedProcedureEvidenceSequence = [_study(study, one) for one, study in named]
    return document


def _image(uid: str) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "IMAGE"
    item.ReferencedSOPSequence = [reference(uid)]
    return item


def _study(study: str, uid: str) -> Dataset:
    series, item = Dataset(), Dataset()
    series.SeriesInstanceUID = f"{study}.1"[:64]
    series.ReferencedSOPSequence = [reference(uid)]
    item.StudyInstanceUID, item.ReferencedSeriesSequence = study, [series]
    return item


def encoded(document: Dataset, syntax: str = EXPLICIT) -> bytes:
    """The data set as it goes over the wire."""
    buffer = BytesIO()
    document.save_as(buffer, implicit_vr=syntax == IMPLICIT, little_endian=True, enforce_file_format=False)
    return buffer.getvalue()


def part10(document: Dataset) -> bytes:
    buffer = BytesIO()
    document.file_meta = FileMetaDataset()
    document.file_meta.TransferSyntaxUID = UID(EXPLICIT)
    dcmwrite(buffer, document, enforce_file_format=True)
    return buffer.getvalue()
