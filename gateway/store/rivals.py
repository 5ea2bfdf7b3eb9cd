"""Data sets under one SOP Instance UID: only one of them is ever assessed."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway.domain.assessment import Analysis
from gateway.domain.outcome import InstanceOutcome, InstanceState
from gateway.domain.sameness import is_same_patient, sides_agree
from gateway.store.tables import AssessmentRow, InstanceRow


def checked_against_rivals(session: Session, row: InstanceRow, analysis: Analysis) -> Analysis:
    """Of two data sets under one SOP Instance UID only one is ever assessed, also when two workers finish at once."""
    if analysis.outcome is not InstanceOutcome.ASSESSED:
        return analysis
    same_uid = select(InstanceRow).where(InstanceRow.sop_instance_uid == row.sop_instance_uid).order_by(InstanceRow.id).with_for_update()
    rivals = [other for other in session.scalars(same_uid) if other.id != row.id and other.state == InstanceState.ASSESSED]
    if not rivals:
        return analysis
    if all(_is_same_picture(session, row, analysis, rival) for rival in rivals):
        return replace(analysis, outcome=InstanceOutcome.VARIANT, reason="same SOP Instance UID and pixels, other header", assessments=())
    return replace(analysis, outcome=InstanceOutcome.CONFLICT, reason="same SOP Instance UID, assessed at the same time", assessments=())


def _is_same_picture(session: Session, row: InstanceRow, analysis: Analysis, rival: InstanceRow) -> bool:
    """Pixels, patient, study and sides: what a variant shares with the assessed instance."""
    ours, theirs = (analysis.pixel_digest, row.study_instance_uid), (rival.pixel_digest, rival.study_instance_uid)
    same_patient = is_same_patient((row.issuer_of_patient_id, row.patient_id), (rival.issuer_of_patient_id, rival.patient_id))
    sides = session.execute(select(AssessmentRow.position, AssessmentRow.laterality).where(AssessmentRow.instance_id == rival.id))
    our_sides = ((assessment.position, str(assessment.laterality)) for assessment in analysis.assessments)
    return ours == theirs and same_patient and sides_agree(our_sides, ((side.position, side.laterality) for side in sides))
