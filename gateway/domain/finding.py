"""What the network said about a study's knees: values that a result is built from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.domain.outcome import KneeDecision


class Laterality(StrEnum):
    RIGHT = "R"
    LEFT = "L"
    UNKNOWN = "U"


class LateralitySource(StrEnum):
    """How the side was known."""

    TAGS = "tags"
    CONVENTION = "convention"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """The assessed rectangle in the source's pixel matrix, in pixels: left and top inclusive, right and bottom exclusive."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KneeFinding:
    """One assessed knee.

    logit: the screening logit as the engine returned it. score: 100 * sigmoid(logit), 0..100, not a probability.
    severity_score: 0..100, only for a flagged knee. t_score: exploratory estimate. age_years, sex, bmi (kg/m2): covariates that were used.
    position: 1-based, counted from the image's left, for the knees of one image.
    """

    sop_instance_uid: str
    laterality: Laterality
    laterality_source: LateralitySource
    position: int
    decision: KneeDecision
    logit: float
    score: float
    severity_score: float | None
    t_score: float | None
    age_years: int | None
    sex: str | None
    bmi: float | None = None
    region: Region
    quality_flags: tuple[str, ...]
    engine_profile: str
    pixel_digest: str
    saliency: tuple[tuple[float, ...], ...]
    """Non-negative Grad-CAM of the crop, rows of columns (16 x 16 for 512 x 512), not normalised; all zero = no positive evidence."""
    text_suspected: bool = False
    """Text may be burned into the source, whether or not the site wants to hear of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnassessedKnee:
    """Which knee of an image was not assessed although another one was. position: 1-based from the image's left."""

    position: int
    laterality: Laterality
    region: Region


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAssessed:
    """An instance of the study that was not assessed, with its coded outcome; or one knee of it."""

    sop_instance_uid: str
    sop_class_uid: str
    outcome: str
    knee: UnassessedKnee | None = None
    """None: the whole image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """Which frozen network spoke. `evidence` is the card's own sentence, empty when there is none."""

    name: str
    version: str
    weights_sha256: str
    bundle_hash: str
    intended_use: str
    screening_threshold: float
    """In score units of 0..1, as the bundle binds it to the weights."""
    severity_threshold: float | None = None
    manufacturer: str
    device_uid: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Predecessor:
    """The SR that a revision replaces."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyReport:
    """All that a study's result says. `started_at` (aware) is the latest first claim of the analyses it rests on, taken from their rows."""

    study_instance_uid: str
    knees: tuple[KneeFinding, ...]
    not_assessed: tuple[NotAssessed, ...]
    model: ModelIdentity
    started_at: datetime
    revision: int
    predecessor: Predecessor | None
    show_severity: bool
    show_t_score: bool

    @property
    def flagged(self) -> bool:
        """The study's headline: flagged when any knee is."""
        return any(knee.decision is KneeDecision.FLAGGED for knee in self.knees)
