"""What the gateway reads from an instance's header."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept without its meaning (PS3.3 8.1): value and scheme designator."""

    value: str
    scheme: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceIdentity:
    """The four UIDs of an instance, as strings; all present and of legal form (PS3.5 9.1)."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceDescription:
    """Searchable header values of the instance row. Absent values are empty strings."""

    accession_number: str
    patient_id: str
    issuer_of_patient_id: str
    modality: str
    manufacturer: str
    model: str
    station: str
    study_date: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceAttributes:
    """What eligibility and inference look at. Texts are stripped; absent values are empty; dates are DICOM DA, ages DICOM AS."""

    identity: InstanceIdentity
    modality: str
    presentation_intent: str
    frames: int
    body_part_examined: str
    region_codes: tuple[Code, ...]
    region_modifier_codes: tuple[Code, ...]
    """Modifiers of the anatomic region: the side, where a modality codes it."""
    view_position: str
    view_codes: tuple[Code, ...]
    laterality: str
    image_laterality: str
    patient_orientation: tuple[str, ...]
    patient_age: str
    patient_birth_date: str
    patient_sex: str
    patient_size_m: float | None
    patient_weight_kg: float | None
    study_date: str
    study_time: str
    timezone_offset: str
    texts: tuple[str, ...]
    """Series, study, procedure and protocol descriptions, for rules that have no code to go by."""
    own_result: bool
    """True when Contributing Equipment or Manufacturer names this gateway."""
