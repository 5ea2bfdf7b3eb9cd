"""A header's values as the gateway's own plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from gateway.dicom.characters import READ_ERRORS, text, values
from gateway.domain.attributes import Code, InstanceAttributes, InstanceDescription, InstanceIdentity

_TEXT_KEYWORDS: Final = (
    "SeriesDescription",
    "StudyDescription",
    "ProtocolName",
    "PerformedProcedureStepDescription",
    "RequestedProcedureDescription",
    "AcquisitionDeviceProcessingDescription",
)
_SEARCHABLE: Final = 256
"""Four times what an identifier may have (PS3.5 6.2). PostgreSQL refuses a row whose indexed value is longer than 2,704 bytes."""
OWN_MODEL_NAME: Final = "strnet-gateway"
"""Manufacturer's Model Name (0008,1090) of everything the gateway writes."""


def read_description(dataset: Dataset) -> InstanceDescription:
    """The searchable values of an instance row, each its first `_SEARCHABLE` characters."""

    def searchable(keyword: str) -> str:
        return text(dataset, keyword)[:_SEARCHABLE]

    return InstanceDescription(
        accession_number=searchable("AccessionNumber"),
        patient_id=searchable("PatientID"),
        issuer_of_patient_id=searchable("IssuerOfPatientID"),
        modality=searchable("Modality"),
        manufacturer=searchable("Manufacturer"),
        model=searchable("ManufacturerModelName"),
        station=searchable("StationName"),
        study_date=searchable("StudyDate"),
    )


def read_attributes(dataset: Dataset) -> InstanceAttributes:
    """What eligibility and inference look at. Never raises on odd values: they read as absent."""
    return InstanceAttributes(
        identity=InstanceIdentity(
            sop_class_uid=text(dataset, "SOPClassUID"),
            sop_instance_uid=text(dataset, "SOPInstanceUID"),
            series_instance_uid=text(dataset, "SeriesInstanceUID"),
            study_instance_uid=text(dataset, "StudyInstanceUID"),
        ),
        modality=text(dataset, "Modality").upper(),
        presentation_intent=text(dataset, "PresentationIntentType").upper(),
        frames=_integer(dataset, "NumberOfFrames", default=1),
        body_part_examined=text(dataset, "BodyPartExamined").upper(),
        region_codes=tuple(_codes(dataset, "AnatomicRegionSequence")) or tuple(_codes(dataset, "PrimaryAnatomicStructureSequence")),
        region_modifier_codes=tuple(
            code for region in _items(dataset, "AnatomicRegionSequence") for code in _codes(region, "AnatomicRegionModifierSequence")
        ),
        view_position=text(dataset, "ViewPosition").upper(),
        view_codes=tuple(_codes(dataset, "ViewCodeSequence")),
        laterality=text(dataset, "Laterality").upper(),
        image_laterality=text(dataset, "ImageLaterality").upper(),
        patient_orientation=values(dataset, "PatientOrientation"),
        patient_age=text(dataset, "PatientAge"),
        patient_birth_date=text(dataset, "PatientBirthDate"),
        patient_sex=text(dataset, "PatientSex").upper(),
        patient_size_m=_number(dataset, "PatientSize"),
        patient_weight_kg=_number(dataset, "PatientWeight"),
        study_date=text(dataset, "StudyDate"),
        study_time=text(dataset, "StudyTime"),
        timezone_offset=text(dataset, "TimezoneOffsetFromUTC"),
        texts=tuple(found for keyword in _TEXT_KEYWORDS for found in values(dataset, keyword)) + tuple(_meanings(dataset)),
        own_result=is_made_by_us(dataset),
    )


def lookup(dataset: Dataset) -> Callable[[str], tuple[str, ...]]:
    """A function from a keyword, or a path of keywords through sequences, to all values found there."""

    def find(path: str) -> tuple[str, ...]:
        *sequences, keyword = path.split(".")
        datasets = [dataset]
        for name in sequences:
            datasets = [item for parent in datasets for item in _items(parent, name)]
        return tuple(value for item in datasets for value in values(item, keyword))

    return find


def _items(dataset: Dataset, keyword: str) -> tuple[Dataset, ...]:
    try:
        sequence = dataset.get(keyword)
        return tuple(sequence) if isinstance(sequence, Sequence) else ()
    except READ_ERRORS:
        return ()


def _codes(dataset: Dataset, keyword: str) -> Iterator[Code]:
    for item in _items(dataset, keyword):
        value = text(item, "CodeValue") or text(item, "LongCodeValue")
        if value:
            yield Code(value, text(item, "CodingSchemeDesignator"))


def _meanings(dataset: Dataset) -> Iterator[str]:
    for item in _items(dataset, "ProcedureCodeSequence"):
        yield from values(item, "CodeMeaning")


def is_made_by_us(dataset: Dataset) -> bool:
    """True when the equipment, or one that contributed, is a strnet-gateway."""
    if text(dataset, "ManufacturerModelName") == OWN_MODEL_NAME:
        return True
    return any(text(item, "ManufacturerModelName") == OWN_MODEL_NAME for item in _items(dataset, "ContributingEquipmentSequence"))


def _integer(dataset: Dataset, keyword: str, *, default: int) -> int:
    try:
        return int(text(dataset, keyword))
    except ValueError:
        return default


def _number(dataset: Dataset, keyword: str) -> float | None:
    try:
        return float(text(dataset, keyword))
    except ValueError:
        return None
