"""What is stored of an analysis: the instance's outcome, and one assessment per knee."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.finding import Laterality, LateralitySource, Region
from gateway.domain.outcome import InstanceOutcome, KneeDecision, Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReading:
    """What the network said of one knee. logit is the raw screening logit; score is 0..100; threshold is 0..1.

    saliency_file, saliency_digest: the Grad-CAM in the spool and its SHA-256; saliency_purged: retention has removed it.
    engine_profile: what computed it.
    """

    logit: float
    score: float
    threshold: float
    severity_logit: float | None
    severity_score: float | None
    t_score: float | None
    saliency_file: str
    saliency_digest: str
    engine_profile: str
    saliency_purged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """One knee of an image and its decision. ValueError where a decision of the network has no reading, or the other way round.

    position: 1-based from the image's left. quality_flags: raised, and not a reason to refuse. measures: by flag (docs/quality.md).
    pixel_notes: what was met on the way from stored pixels to presentation values, e.g. `voi_lut`, `lossy`.
    """

    position: int
    laterality: Laterality
    laterality_source: LateralitySource
    decision: KneeDecision
    reading: KeptReading | None
    age_years: int | None
    sex: str | None
    bmi: float | None = None
    """kg/m2, where the header has size and weight, and age and sex besides: what the exploratory T-score was computed with."""
    covariate_source: str
    region: Region
    quality_flags: tuple[str, ...]
    measures: Mapping[str, float]
    pixel_notes: tuple[str, ...]
    preprocessed_digest: str
    pixel_digest: str
    bundle_hash: str
    shaping_hash: str
    started_at: datetime

    def __post_init__(self) -> None:
        if self.decision.assessed != (self.reading is not None):
            raise ValueError(f"{self.decision} {'without' if self.reading is None else 'with'} a reading")


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """The end of an analyze_instance job. reason: a code or a rule's name, never a header's text."""

    instance_id: str
    outcome: InstanceOutcome
    reason: str
    route: str | None = None
    policy: Policy | None = None
    """Of the route, at this moment."""
    pixel_digest: str | None = None
    identity_removed: bool = False
    """Patient Identity Removed (0012,0062) is YES."""
    assessments: tuple[Assessment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInstance:
    """An instance row, as workers see it."""

    instance_id: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    patient_id: str
    issuer_of_patient_id: str
    file: str
    size: int
    dataset_digest: str
    pixel_digest: str | None
    state: str
    outcome: str | None
    route: str | None
    policy: str | None
    """The strictest one that it was ever decided under; None for what a release before had decided."""
    received_at: datetime
    purged: bool = False
    """Retention has removed its file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyResult:
    """A result row: one SR or SC instance."""

    result_id: str
    study_instance_uid: str
    assessment_set: str
    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    file: str
    sha256: str
    release: str
    revision: int
    purged: bool = False
    """Retention has removed its file."""
