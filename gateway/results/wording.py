"""Every text of a result, in one place. Never "probability" but to deny it, no disease names, nothing that rules out."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from gateway.domain.finding import KneeFinding, Laterality, LateralitySource, ModelIdentity, NotAssessed, StudyReport, UnassessedKnee
from gateway.domain.outcome import InstanceOutcome, KneeDecision

TITLE: Final = "AI screening of knee radiographs for low bone density"
FLAGGED: Final = "Possible low bone density"
NOT_FLAGGED: Final = "Not flagged. Does not exclude low bone density."
NOT_PROCESSED: Final = "NOT PROCESSED"
NOT_PROCESSED_MEANING: Final = "No result was made. The absence of a result says nothing about bone density."
HEADLINE_RULE: Final = "Headline rule: flagged when any assessed knee is flagged."
SCORE_CAPTION: Final = "0-100, not a probability"
NO_POSITIVE_EVIDENCE: Final = "No positive evidence"
NO_POSITIVE_EVIDENCE_MEANING: Final = "no positive evidence: the network found nothing in this knee that raises the score."
NOT_ASSESSED: Final = "not assessed"
NO_SOURCE_PIXELS: Final = "Source pixels not available"
PERFORMANCE_UNKNOWN: Final = "Performance of these weights: unknown."

DEMONSTRATION: Final = "DEMONSTRATION - random or unvalidated weights - not for clinical use"
RESEARCH: Final = "RESEARCH - investigational result - not for clinical use"
SHORT_LABELS: Final = {"demonstration": "DEMONSTRATION, not for clinical use", "research": "RESEARCH"}
"""For the series description, which has 64 characters (PS3.5 6.2 LO)."""

CARD_DESCRIPTION: Final = "Report card of an AI screening"
OVERLAY_DESCRIPTION: Final = "Grad-CAM of an AI screening over its source image"

LIMITS: Final = (
    "The AI score orders images from 0 to 100. It is not a probability and not a measurement of bone density.",
    "A knee that is not flagged, or not listed here, may have low bone density. This result cannot rule it out.",
    "A flagged knee calls for a clinical decision on DXA. Do not treat on this result alone.",
)
T_SCORE_LIMIT: Final = "The T-score estimate is exploratory. It was computed from a radiograph and is not a DXA measurement."

OUTCOMES: Final[dict[str, str]] = {
    InstanceOutcome.INELIGIBLE_ROUTE: "no route of this gateway takes it",
    InstanceOutcome.INELIGIBLE_MODALITY: "not a radiograph (modality)",
    InstanceOutcome.INELIGIBLE_SOP_CLASS: "kind of object is not assessed",
    InstanceOutcome.INELIGIBLE_INTENT_PROCESSING: "image is for processing, not for presentation",
    InstanceOutcome.INELIGIBLE_MULTI_FRAME: "more than one frame",
    InstanceOutcome.INELIGIBLE_BODY_PART: "body part is not the knee",
    InstanceOutcome.INELIGIBLE_BODY_PART_UNKNOWN: "body part unknown",
    InstanceOutcome.INELIGIBLE_VIEW_UNKNOWN: "view unknown",
    InstanceOutcome.INELIGIBLE_VIEW_LATERAL: "lateral view; only AP views are assessed",
    InstanceOutcome.INELIGIBLE_VIEW_OTHER: "not an AP view",
    InstanceOutcome.INELIGIBLE_AGE: "patient's age is outside the assessed range",
    InstanceOutcome.INELIGIBLE_AGE_MISSING: "patient's age is missing",
    InstanceOutcome.INELIGIBLE_AGE_CONFLICT: "patient's age is contradictory",
    InstanceOutcome.INELIGIBLE_OWN_RESULT: "already a result of this gateway",
    InstanceOutcome.INELIGIBLE_BILATERAL: "both knees in one image could not be told apart",
    InstanceOutcome.INELIGIBLE_NOT_A_KNEE: "image does not look like a knee",
    InstanceOutcome.QUALITY_BLANK: "image is blank",
    InstanceOutcome.QUALITY_SMALL_MATRIX: "image has too few pixels",
    InstanceOutcome.QUALITY_UNDEREXPOSED: "image is underexposed",
    InstanceOutcome.QUALITY_OVEREXPOSED: "image is overexposed",
    InstanceOutcome.QUALITY_CLIPPED: "grey values are cut off",
    InstanceOutcome.QUALITY_CROP_FALLBACK: "the leg could not be told from the background",
    InstanceOutcome.QUALITY_LOSSY: "image was compressed with loss",
    InstanceOutcome.QUALITY_BURNED_IN_TEXT: "text may be burned into the image",
    InstanceOutcome.EXCLUDED_METAL: "metal in the image (screws, staples or a prosthesis)",
    InstanceOutcome.QUALITY_POLARITY_SUSPECT: "grey scale may be inverted",
    InstanceOutcome.EXCLUDED_LATERALITY_CONFLICT: "side of the knee is contradictory",
    InstanceOutcome.FAILED_DECODE: "pixels could not be decoded",
    InstanceOutcome.FAILED_TIMEOUT: "decoding took too long",
    InstanceOutcome.FAILED_OOM: "decoding needed too much memory",
    InstanceOutcome.FAILED_IMPLAUSIBLE: "network gave no usable value",
    InstanceOutcome.FAILED_MODEL_LOAD: "network could not be loaded",
    InstanceOutcome.FAILED_OUTBOUND_GATE: "result failed its check before sending",
    InstanceOutcome.FAILED_INTERNAL: "internal error",
    InstanceOutcome.VARIANT: "same pixels as an image that was assessed",
    InstanceOutcome.CONFLICT: "received twice with different pixels; held for an operator",
    InstanceOutcome.LOST: "stored file is missing",
    InstanceOutcome.CORRUPT: "stored file is damaged",
}

FLAGS: Final = {
    "blank": "next to nothing is on the image",
    "polarity_suspect": "grey scale may be inverted",
    "not_a_knee": "looks unlike a knee AP radiograph",
    "metal": "metal suspected",
    "small_matrix": "few pixels: the image was enlarged for the network",
    "underexposed": "underexposed",
    "overexposed": "overexposed",
    "clipped": "grey values are cut off",
    "crop_fallback": "the leg could not be told from the background; the whole image was used",
    "lossy": "the image was compressed with loss",
    "burned_in_text": "text may be burned into the image",
    "side_contradicted": "the header names one side but the image shows two knees; side not used",
}
"""Quality flags that a result only mentions."""

SIDE_SOURCES: Final = {
    LateralitySource.TAGS: "side from the image's header",
    LateralitySource.CONVENTION: "side by viewing convention, not from the header",
    LateralitySource.UNKNOWN: "side not known, counted from the image's left",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedScore:
    """Score and threshold as they are shown: rounded, and never against the decision."""

    score: Decimal
    threshold: Decimal


def printed_score(knee: KneeFinding, threshold: float) -> PrintedScore:
    """Whole numbers where they agree with the decision, else two decimals, the score held on the decision's side."""
    flagged = knee.decision is KneeDecision.FLAGGED
    shown_threshold = _shortest(threshold * 100)
    whole = _rounded(knee.score, 0)
    if (whole >= shown_threshold) == flagged:
        return PrintedScore(score=whole, threshold=shown_threshold)
    fine = _rounded(knee.score, 2)
    if (fine >= shown_threshold) != flagged:
        # Nearer to the threshold than two decimals can show
        fine = _rounded(shown_threshold, 2) if flagged else _rounded(shown_threshold, 2) - Decimal("0.01")
    return PrintedScore(score=fine, threshold=shown_threshold)


def _shortest(value: float) -> Decimal:
    whole, fine = _rounded(value, 0), _rounded(value, 2)
    return whole if whole == fine else fine


def _rounded(value: float | Decimal, decimals: int) -> Decimal:
    return Decimal(value).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_EVEN)


def decision(knee: KneeFinding) -> str:
    return FLAGGED if knee.decision is KneeDecision.FLAGGED else NOT_FLAGGED


def headline(report: StudyReport) -> str:
    if not report.knees:
        return NOT_PROCESSED
    return FLAGGED if report.flagged else NOT_FLAGGED


def side(knee: KneeFinding, number: int) -> str:
    """ "Right knee", "Left knee", or "Knee 2, side unknown": `number` is the knee's own when the side is not known."""
    names = {Laterality.RIGHT: "Right knee", Laterality.LEFT: "Left knee"}
    return names.get(knee.laterality, f"Knee {number}, side unknown")


def score_alone(knee: KneeFinding, model: ModelIdentity) -> str:
    """For a place where the threshold stands beside it as a drawing."""
    return f"AI score {printed_score(knee, model.screening_threshold).score} ({SCORE_CAPTION})"


def score_sentence(knee: KneeFinding, model: ModelIdentity) -> str:
    shown = printed_score(knee, model.screening_threshold)
    return f"AI score {shown.score} ({SCORE_CAPTION}), threshold {shown.threshold}"


def knee_sentence(name: str, knee: KneeFinding, model: ModelIdentity) -> str:
    return f"{name}: {decision(knee).rstrip('.')}. {score_sentence(knee, model)}."


def network(model: ModelIdentity) -> str:
    """Figures of other weights must never be borrowed: the weights are part of the name."""
    return f"{model.name} architecture, weights {model.weights_sha256[:12]}"


def label(model: ModelIdentity) -> str:
    """What every page and every disclaimer is headed with; empty only for clinical use."""
    return {"clinical": "", "demonstration": DEMONSTRATION}.get(model.intended_use, RESEARCH)


def series_description(model: ModelIdentity, what: str) -> str:
    short = SHORT_LABELS.get(model.intended_use, "" if model.intended_use == "clinical" else SHORT_LABELS["research"])
    return " - ".join(part for part in (short, f"AI STR-Net {what}") if part)


def evidence(model: ModelIdentity) -> str:
    return model.evidence or PERFORMANCE_UNKNOWN


def reason(outcome: str) -> str:
    """The outcome in words, with its code, so that a reader and `explain` speak of the same thing."""
    words = OUTCOMES.get(outcome)
    return f"{words} [{outcome}]" if words else f"[{outcome}]"


def quality_flag(flag: str) -> str:
    return FLAGS.get(flag) or flag.replace("_", " ").replace("-", " ").strip()


def unassessed_knee(knee: UnassessedKnee) -> str:
    """ "right knee", "left knee", or "knee 1 from the image's left"."""
    names = {Laterality.RIGHT: "right knee", Laterality.LEFT: "left knee"}
    return names.get(knee.laterality, f"knee {knee.position} from the image's left")


def inputs(knee: KneeFinding) -> str:
    age = f"age {knee.age_years} y" if knee.age_years is not None else "age not known"
    sex = f"sex {knee.sex}" if knee.sex else "sex not known"
    return f"{age}, {sex}"


def summary(report: StudyReport, sides: tuple[str, ...]) -> str:
    """The narrative of the report; `sides` are the knees' names in their order."""
    if not report.knees:
        reasons = "; ".join(dict.fromkeys(reason(item.outcome) for item in report.not_assessed)) or "no image of this study was assessed"
        return f"{NOT_PROCESSED} by {report.model.name}: {reasons}. {NOT_PROCESSED_MEANING}"
    sentences = [
        f"{name}: {_decision_in_sentence(knee)} ({_short_score(knee, report.model)})."
        for name, knee in zip(sides, report.knees, strict=True)
    ]
    sentences.insert(0, f"Study headline: {headline(report).rstrip('.')}. {HEADLINE_RULE}")
    sentences += [
        f"Not assessed: {unassessed_knee(item.knee)}, {reason(item.outcome)}." for item in report.not_assessed if item.knee is not None
    ]
    images = sum(item.knee is None for item in report.not_assessed)
    if images:
        sentences.append(f"Not assessed: {images} further image(s), see quality findings.")
    return " ".join(sentences)


def _decision_in_sentence(knee: KneeFinding) -> str:
    text = decision(knee).rstrip(".")
    return text[0].lower() + text[1:].replace(". D", "; d")


def _short_score(knee: KneeFinding, model: ModelIdentity) -> str:
    shown = printed_score(knee, model.screening_threshold)
    return f"AI score {shown.score}, threshold {shown.threshold}; {SCORE_CAPTION}"


def not_assessed_finding(item: NotAssessed) -> str:
    which = f", {unassessed_knee(item.knee)}" if item.knee is not None else ""
    return f"Not assessed: {reason(item.outcome)}: instance {item.sop_instance_uid}{which}"


def limits(report: StudyReport) -> tuple[str, ...]:
    shown = report.show_t_score and any(knee.t_score is not None for knee in report.knees)
    return (*LIMITS, T_SCORE_LIMIT) if shown else LIMITS


def disclaimer(report: StudyReport) -> str:
    stamped = label(report.model)
    parts = [f"{stamped}." if stamped else "", *limits(report), evidence(report.model)]
    return " ".join(part for part in parts if part)


def severity_sentence(score: float) -> str:
    return f"AI severity score {_rounded(score, 0)} ({SCORE_CAPTION})"


def t_score_sentence(t_score: float) -> str:
    return f"Exploratory T-score estimate {_rounded(t_score, 1)} (not DXA)"


def map_note(rows: int, columns: int) -> str:
    cells = f"1/{columns}" if rows == columns else f"1/{rows} by 1/{columns}"
    return f"Coarse map, 1 cell = {cells} of the crop; not a localisation. Colours are relative to each knee's own maximum."


def shown_threshold(model: ModelIdentity) -> str:
    return str(_shortest(model.screening_threshold * 100))


def whole(value: float) -> Decimal:
    return _rounded(value, 0)


def tenths(value: float) -> Decimal:
    return _rounded(value, 1)
