"""The row of an assessment, from its value and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from gateway.domain.assessment import Assessment, KeptReading
from gateway.domain.finding import Laterality, LateralitySource, Region
from gateway.domain.identifiers import new_id
from gateway.domain.outcome import KneeDecision
from gateway.store.tables import AssessmentRow, InstanceRow


def assessment_row(instance: InstanceRow, assessment: Assessment) -> AssessmentRow:
    reading = assessment.reading
    return AssessmentRow(
        id=new_id(),
        instance_id=instance.id,
        study_instance_uid=instance.study_instance_uid,
        position=assessment.position,
        laterality=assessment.laterality,
        laterality_source=assessment.laterality_source,
        decision=assessment.decision,
        logit=reading.logit if reading else None,
        score=reading.score if reading else None,
        threshold=reading.threshold if reading else None,
        severity_logit=reading.severity_logit if reading else None,
        severity_score=reading.severity_score if reading else None,
        t_score=reading.t_score if reading else None,
        age_years=assessment.age_years,
        sex=assessment.sex,
        bmi=assessment.bmi,
        covariate_source=assessment.covariate_source,
        region_left=assessment.region.left,
        region_top=assessment.region.top,
        region_right=assessment.region.right,
        region_bottom=assessment.region.bottom,
        quality_flags=list(assessment.quality_flags),
        measures=dict(assessment.measures),
        pixel_notes=list(assessment.pixel_notes),
        saliency_file=reading.saliency_file if reading else None,
        saliency_digest=reading.saliency_digest if reading else None,
        preprocessed_digest=assessment.preprocessed_digest,
        pixel_digest=assessment.pixel_digest,
        engine_profile=reading.engine_profile if reading else None,
        bundle_hash=assessment.bundle_hash,
        shaping_hash=assessment.shaping_hash,
        started_at=assessment.started_at,
        created_at=datetime.now(UTC),
    )


def as_assessment(row: AssessmentRow) -> Assessment:
    return Assessment(
        position=row.position,
        laterality=Laterality(row.laterality),
        laterality_source=LateralitySource(row.laterality_source),
        decision=KneeDecision(row.decision),
        reading=_reading(row),
        age_years=row.age_years,
        sex=row.sex,
        bmi=row.bmi,
        covariate_source=row.covariate_source,
        region=Region(left=row.region_left, top=row.region_top, right=row.region_right, bottom=row.region_bottom),
        quality_flags=tuple(row.quality_flags),
        measures=dict(row.measures),
        pixel_notes=tuple(row.pixel_notes),
        preprocessed_digest=row.preprocessed_digest,
        pixel_digest=row.pixel_digest,
        bundle_hash=row.bundle_hash,
        shaping_hash=row.shaping_hash,
        started_at=row.started_at,
    )


def _reading(row: AssessmentRow) -> KeptReading | None:
    """All of it or nothing: a check constraint of the table holds that."""
    numbers, files = (row.logit, row.score, row.threshold), (row.saliency_file, row.saliency_digest, row.engine_profile)
    if None in numbers or None in files:
        return None
    logit, score, threshold = cast("tuple[float, float, float]", numbers)
    saliency_file, saliency_digest, engine_profile = cast("tuple[str, str, str]", files)
    return KeptReading(
        logit=logit,
        score=score,
        threshold=threshold,
        severity_logit=row.severity_logit,
        severity_score=row.severity_score,
        t_score=row.t_score,
        saliency_file=saliency_file,
        saliency_digest=saliency_digest,
        engine_profile=engine_profile,
        saliency_purged=row.saliency_purged_at is not None,
    )
