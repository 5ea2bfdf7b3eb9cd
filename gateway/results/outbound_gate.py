"""The check before sending: what is read back from the finished file, not what we meant to write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from gateway.dicom.uids import is_legal
from gateway.domain.retraction import REJECTION, reason_of_title
from gateway.errors import OutboundGateError
from gateway.results.built_result import BuiltResult
from gateway.results.inheritance import TYPE_2

_FILLED: Final = (
    "StudyInstanceUID",
    "SeriesNumber",
    "InstanceNumber",
    "Modality",
    "SeriesDescription",
    "Manufacturer",
    "ContentDate",
    "ContentTime",
    "TimezoneOffsetFromUTC",
    "SpecificCharacterSet",
)
_FILLED_IN_FINDINGS: Final = ("ContentQualification", "ContributingEquipmentSequence")
"""Of what the network has said, and so not of a rejection note."""

_LARGEST_FILE: Final = 64 * 1024 * 1024


_IDENTITY: Final = ("StudyInstanceUID", "PatientID", "PatientName", "PatientBirthDate")


def check(built: BuiltResult, sources: Sequence[Dataset] = (), *, names: frozenset[str] = frozenset()) -> None:
    """Raise OutboundGateError naming the first thing that is wrong.

    sources: the headers that the result rests on; its patient and study have to be theirs, all of theirs where they have an id.
    names: the SOP Instance UIDs that a rejection note has to name, no more and no less.
    """
    wrong = next(_problems(built, sources, names), None)
    if wrong is not None:
        raise OutboundGateError(f"{built.kind}: {wrong}")


def _problems(built: BuiltResult, sources: Sequence[Dataset], names: frozenset[str]) -> Iterator[str]:
    if len(built.content) > _LARGEST_FILE:
        yield f"larger than {_LARGEST_FILE} bytes"
    try:
        dataset = dcmread(BytesIO(built.content))
    except InvalidDicomError:
        yield "not a DICOM file"
        return
    yield from _header_problems(built, dataset)
    yield from _identity_problems(dataset, sources)
    if built.kind == REJECTION:
        yield from _note_problems(dataset, names)
        return
    yield from (f"{keyword} is empty" for keyword in _FILLED_IN_FINDINGS if not dataset.get(keyword))
    yield from _report_problems(dataset) if built.kind == "sr" else _capture_problems(dataset, built.kind)


def _header_problems(built: BuiltResult, dataset: Dataset) -> Iterator[str]:
    expected = {
        "SOPClassUID": built.sop_class_uid,
        "SOPInstanceUID": built.sop_instance_uid,
        "SeriesInstanceUID": built.series_instance_uid,
    }
    for keyword, uid in expected.items():
        if dataset.get(keyword) != uid or not is_legal(uid):
            yield f"{keyword} is not {uid}"
    meta = dataset.file_meta
    if (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) != (built.sop_class_uid, built.sop_instance_uid):
        yield "file meta information names another instance"
    yield from (f"{keyword} is missing" for keyword in TYPE_2 if keyword not in dataset)
    yield from (f"{keyword} is empty" for keyword in _FILLED if not dataset.get(keyword))


def _identity_problems(dataset: Dataset, sources: Sequence[Dataset]) -> Iterator[str]:
    for keyword in _IDENTITY:
        theirs = {str(source.get(keyword) or "") for source in sources}
        if theirs and str(dataset.get(keyword) or "") not in theirs:
            yield f"{keyword} is not that of any source"
    for keyword in ("StudyInstanceUID", "PatientID"):
        if len({str(source.get(keyword) or "") for source in sources}) > 1:
            yield f"the sources do not agree on {keyword}"


def _capture_problems(dataset: Dataset, kind: str) -> Iterator[str]:
    size = int(dataset.get("Rows", 0)) * int(dataset.get("Columns", 0)) * int(dataset.get("SamplesPerPixel", 0))
    if size == 0 or len(dataset.get("PixelData", b"")) != size + size % 2:
        yield "pixel data do not have the size that rows and columns say"
    if dataset.get("BurnedInAnnotation") not in (("NO",) if kind == "sc_report_page" else ("NO", "YES")):
        yield "BurnedInAnnotation is not what this page may have"
    if ("ImageLaterality" in dataset) == ("Laterality" in dataset):
        yield "not exactly one of ImageLaterality and Laterality"
    if not dataset.get("SourceImageSequence"):
        yield "no source image is named"


def _note_problems(dataset: Dataset, names: frozenset[str]) -> Iterator[str]:
    """A note that names too much would take another's results away, and one that names too little leaves some."""
    evidence = _evidence(dataset)
    if not evidence:
        yield "no evidence is named"
    titles = dataset.get("ConceptNameCodeSequence") or ()
    if [reason_of_title(str(title.get("CodeValue"))) for title in titles] in ([], [None]):
        yield "the title rejects nothing"
    if {str(study.StudyInstanceUID) for study in dataset.get("CurrentRequestedProcedureEvidenceSequence", ())} != {
        str(dataset.StudyInstanceUID)
    }:
        yield "another study is named"
    named = {str(one.ReferencedSOPInstanceUID) for item in _items(dataset) for one in item.get("ReferencedSOPSequence", ())}
    if named != evidence or (names and named != names):
        yield "it does not name the report's instances, no more and no less"


def _evidence(dataset: Dataset) -> set[str]:
    return {
        str(reference.ReferencedSOPInstanceUID)
        for study in dataset.get("CurrentRequestedProcedureEvidenceSequence", ())
        for series in study.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    }


def _report_problems(dataset: Dataset) -> Iterator[str]:
    evidence = _evidence(dataset)
    if not evidence:
        yield "no evidence is named"
    if dataset.get("VerificationFlag") != "UNVERIFIED":
        yield "VerificationFlag is not UNVERIFIED"
    for item in _items(dataset):
        if item.ValueType == "CONTAINER" and item.get("ContinuityOfContent") != "SEPARATE":
            yield "a container is not SEPARATE"
        for reference in item.get("ReferencedSOPSequence", ()):
            if reference.ReferencedSOPInstanceUID not in evidence:
                yield f"instance {reference.ReferencedSOPInstanceUID} is referenced and is not evidence"
        if item.ValueType == "CONTAINER" and item.ConceptNameCodeSequence[0].CodeValue == "125007":
            yield from _group_problems(item)


def _group_problems(group: Dataset) -> Iterator[str]:
    """What makes viewers fail on a measurement group."""
    children = group.get("ContentSequence", ())
    if not any(child.ValueType == "SCOORD" for child in children):
        yield "a measurement group has no region"
    if not any(child.ConceptNameCodeSequence[0].CodeValue == "112040" for child in children):
        yield "a measurement group has no tracking UID"


def _items(item: Dataset) -> Iterator[Dataset]:
    yield item
    for child in item.get("ContentSequence", ()):
        yield from _items(child)
