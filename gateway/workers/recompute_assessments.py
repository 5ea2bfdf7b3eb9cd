"""Assessments made again from the images in the spool, to compare with the rows. Writes nothing but an alarm where one differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.domain.assessment import Assessment, StoredInstance
from gateway.errors import GatewayError
from gateway.events import Event, log_event
from gateway.store.audit_log import AuditLog
from gateway.store.instances import Instances
from gateway.workers.analyze_instance import AnalyzeInstance


@dataclass(frozen=True, slots=True, kw_only=True)
class RecomputedInstance:
    """One image, assessed again. differences: empty when nothing that decides differs; else codes, never values of a header.

    largest_score_difference: of its knees, on the scale 0..100; None where no knee was read both times.
    """

    sop_instance_uid: str
    study_instance_uid: str
    knees: int
    differences: tuple[str, ...]
    largest_score_difference: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecomputeAssessments:
    """Assesses images again with the bundle and the settings in force."""

    instances: Instances
    audit: AuditLog
    analyze: AnalyzeInstance

    def run(self, instance: StoredInstance) -> RecomputedInstance | None:
        """None for an image that this bundle under these settings has not looked at: there is nothing to compare."""
        rows = self.instances.assessments(
            instance.instance_id, bundle_hash=self.analyze.bundle_hash, shaping_hash=self.analyze.shaping_hash
        )
        if not rows:
            return None
        try:
            analysis = self.analyze.analysis(instance, datetime.now(UTC))
            again: Sequence[Assessment] = analysis.assessments
            found = (*(("outcome",) if analysis.outcome != instance.outcome else ()), *differences(rows, again))
        except GatewayError as error:
            again, found = (), (error.code,)
        if found:
            identifiers = {"study_instance_uid": instance.study_instance_uid, "sop_instance_uid": instance.sop_instance_uid}
            log_event(Event.ASSESSMENT_DIFFERS, level="error", reason=" ".join(found), **identifiers)
            self.audit.record(Event.ASSESSMENT_DIFFERS, reason=" ".join(found), instance_id=instance.instance_id, **identifiers)
        return RecomputedInstance(
            sop_instance_uid=instance.sop_instance_uid,
            study_instance_uid=instance.study_instance_uid,
            knees=len(rows),
            differences=found,
            largest_score_difference=_largest_score_difference(rows, again),
        )


def differences(rows: Sequence[Assessment], again: Sequence[Assessment]) -> tuple[str, ...]:
    """What decides and is not the same, by name. Scores may differ in their last digits by engine profile; decisions may not."""
    if len(rows) != len(again):
        return ("knees",)
    compared = ("decision", "laterality", "region", "pixel_digest", "preprocessed_digest")
    unequal = {name for one, other in zip(rows, again, strict=True) for name in compared if getattr(one, name) != getattr(other, name)}
    return tuple(name for name in compared if name in unequal)


def _largest_score_difference(rows: Sequence[Assessment], again: Sequence[Assessment]) -> float | None:
    pairs = [(one.reading, other.reading) for one, other in zip(rows, again, strict=False)]
    return max((abs(one.score - other.score) for one, other in pairs if one and other), default=None)
