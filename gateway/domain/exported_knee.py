"""One knee as an evaluation outside of the gateway needs it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedKnee:
    """An assessment with what is known of its image. logit and what follows from it: None for a knee that was refused."""

    instance_id: str
    position: int
    """1-based from the image's left."""
    study_instance_uid: str
    sop_instance_uid: str
    accession_number: str
    patient_id: str
    issuer_of_patient_id: str
    study_date: str
    """As the header has it, YYYYMMDD."""
    laterality: str
    decision: str
    logit: float | None
    score: float | None
    threshold: float | None
    severity_logit: float | None
    t_score: float | None
    age_years: int | None
    sex: str | None
    bmi: float | None
    modality: str
    manufacturer: str
    model: str
    station: str
    quality_flags: tuple[str, ...]
    engine_profile: str | None
    bundle_hash: str
    shaping_hash: str
    assessed_at: datetime
