"""All knees of a time, row by row: one transaction, and never more of them in memory than a page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select

from gateway.domain.exported_knee import ExportedKnee
from gateway.domain.outcome import SET_ASIDE, InstanceState
from gateway.store.database import Database
from gateway.store.phantom_studies import of_nobody
from gateway.store.tables import AssessmentRow, InstanceRow

_PAGE: Final = 500
_STANDING: Final = (InstanceState.ASSESSED, InstanceState.NOT_ASSESSED)


class KneeExport:
    """Reads only. Left out: images in conflict, set aside by a correction or a person, lost and corrupt ones, which are in doubt; and
    phantoms, which are nobody's.
    """

    def __init__(self, database: Database, *, since: datetime | None = None, until: datetime | None = None, bundle: str = "") -> None:
        """since, until: of the analysis' first claim, until not included. bundle: what the hash begins with."""
        self._database = database
        wanted = [
            InstanceRow.state.in_(_STANDING),
            InstanceRow.outcome.not_in(SET_ASIDE),
            ~of_nobody(InstanceRow.study_instance_uid),
        ]
        if since is not None:
            wanted.append(AssessmentRow.started_at >= since)
        if until is not None:
            wanted.append(AssessmentRow.started_at < until)
        if bundle:
            wanted.append(AssessmentRow.bundle_hash.startswith(bundle, autoescape=True))
        self._wanted = wanted

    def count(self) -> int:
        """At most so many rows follow: knees that were assessed under several settings are counted for each."""
        with self._database.reading() as session:
            counted = select(func.count()).select_from(AssessmentRow).join(InstanceRow, InstanceRow.id == AssessmentRow.instance_id)
            return session.scalar(counted.where(*self._wanted)) or 0

    def knees(self) -> Iterator[ExportedKnee]:
        """Image by image. Of a knee that a bundle has assessed under several settings the newest assessment."""
        found = (
            select(AssessmentRow, InstanceRow)
            .join(InstanceRow, InstanceRow.id == AssessmentRow.instance_id)
            .where(*self._wanted)
            .order_by(
                InstanceRow.received_at,
                InstanceRow.id,
                AssessmentRow.bundle_hash,
                AssessmentRow.position,
                AssessmentRow.created_at.desc(),
                AssessmentRow.id,
            )
            .execution_options(yield_per=_PAGE)
        )
        before: tuple[str, str, int] | None = None
        with self._database.reading() as session:
            for assessment, instance in session.execute(found):
                key = (instance.id, assessment.bundle_hash, assessment.position)
                if key != before:
                    yield _knee(assessment, instance)
                before = key


def _knee(assessment: AssessmentRow, instance: InstanceRow) -> ExportedKnee:
    same: dict[str, Any] = {
        name: getattr(assessment, name)
        for name in (
            "position",
            "laterality",
            "decision",
            "logit",
            "score",
            "threshold",
            "severity_logit",
            "t_score",
            "age_years",
            "sex",
            "bmi",
            "engine_profile",
            "bundle_hash",
            "shaping_hash",
        )
    }
    return ExportedKnee(
        **same,
        instance_id=instance.id,
        study_instance_uid=instance.study_instance_uid,
        sop_instance_uid=instance.sop_instance_uid,
        accession_number=instance.accession_number,
        patient_id=instance.patient_id,
        issuer_of_patient_id=instance.issuer_of_patient_id,
        study_date=instance.study_date,
        modality=instance.modality,
        manufacturer=instance.manufacturer,
        model=instance.model,
        station=instance.station,
        quality_flags=tuple(assessment.quality_flags),
        assessed_at=assessment.started_at,
    )
