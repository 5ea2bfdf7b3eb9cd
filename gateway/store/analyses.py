"""Analyses of instances: queued again for a report, and ended with their outcome and assessments in one transaction with the job."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway.domain.assessment import Analysis, Assessment, StoredInstance
from gateway.domain.job import Claim, JobKind
from gateway.domain.outcome import IN_A_REPORT, SET_ASIDE, InstanceOutcome, InstanceState, Policy
from gateway.errors import NotFoundError, SourcePurgedError
from gateway.events import Event
from gateway.store.assessment_rows import assessment_row
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.identities import settled
from gateway.store.image_locks import beside_notes, one_at_a_time
from gateway.store.job_queue import enqueue, fail, finish, resume
from gateway.store.repeating import repeated
from gateway.store.rivals import checked_against_rivals
from gateway.store.tables import AssessmentRow, InstanceRow

_EVENTS: Final = {
    InstanceState.ASSESSED: Event.INSTANCE_ASSESSED,
    InstanceState.NOT_ASSESSED: Event.INSTANCE_NOT_ASSESSED,
    InstanceState.FAILED: Event.INSTANCE_FAILED,
    InstanceState.VARIANT: Event.INSTANCE_VARIANT,
    InstanceState.CONFLICT: Event.INSTANCE_CONFLICT,
    InstanceState.LOST: Event.INSTANCE_LOST,
    InstanceState.CORRUPT: Event.INSTANCE_CORRUPT,
}


class Analyses:
    """Each call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @repeated
    def analyze_again(self, claim: Claim, instances: Sequence[StoredInstance]) -> None:
        """Ends a report job by queueing analyses that the current bundle and settings do not have yet; they bring it back."""
        with self._database.transaction() as session:
            finish(session, claim, code="analyze_again", actor=claim.owner)
            for instance in instances:
                enqueue(session, JobKind.ANALYZE_INSTANCE, instance.instance_id, claim.study_instance_uid, actor=claim.owner)

    @repeated
    def finish(self, claim: Claim, analysis: Analysis) -> None:
        """One transaction: outcome, assessments, the job's end, and the study's report job."""
        with self._database.transaction() as session:
            finish(session, claim, code=analysis.outcome.value, actor=claim.owner)
            _decide(session, claim, analysis)

    @repeated
    def give_up(self, claim: Claim, analysis: Analysis) -> None:
        """As `finish`, with a dead job: an operator may release it once the cause is gone."""
        with self._database.transaction() as session:
            fail(session, claim, code=analysis.outcome.value, retry_in_seconds=None)
            _decide(session, claim, analysis)


def _decide(session: Session, claim: Claim, analysis: Analysis) -> None:
    beside_notes(session)
    one_at_a_time(session, analysis.pixel_digest)
    row = session.scalar(select(InstanceRow).where(InstanceRow.id == analysis.instance_id).with_for_update())
    if row is None:
        raise NotFoundError(analysis.instance_id)
    row.pixel_digest = analysis.pixel_digest or row.pixel_digest
    row.identity_removed = analysis.identity_removed or row.identity_removed
    analysis = checked_against_rivals(session, row, settled(session, row, analysis, actor=claim.owner))
    _write(row, analysis)
    for assessment in analysis.assessments:
        _keep(session, row, assessment)
    _record(session, claim, row, analysis)
    if analysis.outcome.state in IN_A_REPORT and analysis.outcome not in SET_ASIDE:
        study = row.study_instance_uid
        resume(session, JobKind.REPORT_STUDY, study, study, code=SourcePurgedError.code, actor=claim.owner)


def _write(row: InstanceRow, analysis: Analysis) -> None:
    """Of the policies that it has been analysed under, the strictest holds."""
    row.state, row.outcome, row.outcome_reason = analysis.outcome.state, analysis.outcome, analysis.reason
    row.route, row.decided_at = analysis.route, datetime.now(UTC)
    if analysis.policy is not None:
        row.policy = min(analysis.policy, Policy(row.policy or analysis.policy), key=lambda policy: policy.openness)


def _keep(session: Session, row: InstanceRow, assessment: Assessment) -> None:
    standing = _standing(session, row, assessment)
    if standing is None:
        session.add(assessment_row(row, assessment))
    elif standing.saliency_purged_at is not None and assessment.reading is not None:
        # the image came again after retention had removed it: its map is drawn anew, what was decided stands
        standing.saliency_file, standing.saliency_digest = assessment.reading.saliency_file, assessment.reading.saliency_digest
        standing.saliency_purged_at = None


def _standing(session: Session, row: InstanceRow, assessment: Assessment) -> AssessmentRow | None:
    """The first committed assessment stands."""
    same = select(AssessmentRow).where(
        AssessmentRow.instance_id == row.id,
        AssessmentRow.position == assessment.position,
        AssessmentRow.bundle_hash == assessment.bundle_hash,
        AssessmentRow.shaping_hash == assessment.shaping_hash,
    )
    return session.scalar(same)


def _record(session: Session, claim: Claim, row: InstanceRow, analysis: Analysis) -> None:
    record(
        session,
        _EVENTS[analysis.outcome.state],
        actor=claim.owner,
        instance_id=row.id,
        study_instance_uid=row.study_instance_uid,
        sop_instance_uid=row.sop_instance_uid,
        code=analysis.outcome.value,
        reason=analysis.reason,
        route=analysis.route,
    )
    if analysis.outcome is InstanceOutcome.FAILED_IMPLAUSIBLE:
        # an alarm of its own: not this image but the network or its device is ill
        record(session, Event.OUTPUT_IMPLAUSIBLE, actor=claim.owner, instance_id=row.id, code=analysis.outcome.value)
