"""Instances and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, cast

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from gateway.domain.assessment import Analysis, Assessment, KeptReading, StoredInstance
from gateway.domain.correction import CaseRole
from gateway.domain.finding import Laterality, LateralitySource, Region
from gateway.domain.identifiers import new_id
from gateway.domain.job import Claim, JobKind
from gateway.domain.outcome import SET_ASIDE, InstanceOutcome, InstanceState, KneeDecision, Policy
from gateway.errors import NotFoundError, SourcePurgedError
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.identities import settled
from gateway.store.image_locks import beside_notes, one_at_a_time
from gateway.store.job_queue import enqueue, fail, finish, open_jobs, resume
from gateway.store.repeating import repeated
from gateway.store.rivals import checked_against_rivals
from gateway.store.tables import AssessmentRow, AssociationRow, CorrectionRow, InstanceRow, ReceiptRow

_EVENTS: Final = {
    InstanceState.ASSESSED: Event.INSTANCE_ASSESSED,
    InstanceState.NOT_ASSESSED: Event.INSTANCE_NOT_ASSESSED,
    InstanceState.FAILED: Event.INSTANCE_FAILED,
    InstanceState.VARIANT: Event.INSTANCE_VARIANT,
    InstanceState.CONFLICT: Event.INSTANCE_CONFLICT,
    InstanceState.LOST: Event.INSTANCE_LOST,
    InstanceState.CORRUPT: Event.INSTANCE_CORRUPT,
}
_IN_A_REPORT: Final = (InstanceState.ASSESSED, InstanceState.NOT_ASSESSED, InstanceState.FAILED)


class Instances:
    """Reads instances; ends their analysis in one transaction with the job."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, instance_id: str) -> StoredInstance:
        with self._database.reading() as session:
            row = session.get(InstanceRow, instance_id)
            if row is None:
                raise NotFoundError(instance_id)
            return _stored(row)

    def same_sop_instance(self, instance: StoredInstance) -> tuple[StoredInstance, ...]:
        """Other data sets that came under the same SOP Instance UID."""
        with self._database.reading() as session:
            rows = session.scalars(
                select(InstanceRow).where(InstanceRow.sop_instance_uid == instance.sop_instance_uid, InstanceRow.id != instance.instance_id)
            )
            return tuple(_stored(row) for row in rows)

    def of_study(self, study_instance_uid: str) -> tuple[StoredInstance, ...]:
        """The instances that a report of the study speaks of, in the order of their SOP Instance UIDs."""
        with self._database.reading() as session:
            rows = session.scalars(
                select(InstanceRow)
                .where(InstanceRow.study_instance_uid == study_instance_uid, InstanceRow.state.in_(_IN_A_REPORT))
                .order_by(InstanceRow.sop_instance_uid, InstanceRow.id)
            )
            return tuple(_stored(row) for row in rows)

    def looked_at(self, study_instance_uids: Sequence[str] | None) -> tuple[str, ...]:
        """Our ids of the instances whose knees were judged, assessed or refused, oldest first. None: of every study.

        Those that retention has purged are left out, and those that a correction or a person has set aside: what is told of them does
        not rest on their pixels.
        """
        judged = exists().where(AssessmentRow.instance_id == InstanceRow.id)
        ended = InstanceRow.state.in_((InstanceState.ASSESSED, InstanceState.NOT_ASSESSED)) & InstanceRow.outcome.not_in(SET_ASIDE)
        wanted = (
            select(InstanceRow.id).where(ended, judged, InstanceRow.purged_at.is_(None)).order_by(InstanceRow.received_at, InstanceRow.id)
        )
        if study_instance_uids is not None:
            wanted = wanted.where(InstanceRow.study_instance_uid.in_(study_instance_uids))
        with self._database.reading() as session:
            return tuple(session.scalars(wanted))

    def assessments(self, instance_id: str, *, bundle_hash: str, shaping_hash: str) -> tuple[Assessment, ...]:
        """An instance's assessments by one bundle under one set of settings, by position."""
        with self._database.reading() as session:
            rows = session.scalars(
                select(AssessmentRow)
                .where(
                    AssessmentRow.instance_id == instance_id,
                    AssessmentRow.bundle_hash == bundle_hash,
                    AssessmentRow.shaping_hash == shaping_hash,
                )
                .order_by(AssessmentRow.position)
            )
            return tuple(_assessment(row) for row in rows)

    def has_conflict(self, study_instance_uid: str) -> bool:
        """True while an instance of the study is in conflict."""
        with self._database.reading() as session:
            found = select(InstanceRow.id).where(
                InstanceRow.study_instance_uid == study_instance_uid, InstanceRow.state == InstanceState.CONFLICT
            )
            return session.scalar(found.limit(1)) is not None

    def decided_cases(self, study_instance_uid: str) -> tuple[str, ...]:
        """Cases in which a person has decided for an image of the study, oldest first, each as often as that was."""
        with self._database.reading() as session:
            stands = select(CorrectionRow.case_id).where(
                CorrectionRow.study_instance_uid == study_instance_uid, CorrectionRow.role == CaseRole.STANDS
            )
            return tuple(session.scalars(stands.order_by(CorrectionRow.id)))

    def peer_of(self, instance_id: str) -> str | None:
        """The `[[peers]]` table that admitted the sender. None: not bound to one. Empty: nobody knows who sent it (an adopted file)."""
        with self._database.reading() as session:
            found = select(InstanceRow.first_association_id, AssociationRow.peer).join(
                AssociationRow, InstanceRow.first_association_id == AssociationRow.id, isouter=True
            )
            association_id, peer = session.execute(found.where(InstanceRow.id == instance_id)).one()
            return "" if association_id is None else peer

    def any_not_sent_here(self, instance_ids: Sequence[str]) -> bool:
        """True when one of them is not known to have come by C-STORE: by `ingest` alone, or adopted after a crash and never sent again."""
        sent = (
            select(ReceiptRow.instance_id)
            .join(AssociationRow, AssociationRow.id == ReceiptRow.association_id, isouter=True)
            .where(
                ReceiptRow.instance_id.in_(instance_ids), ReceiptRow.dimse_status == 0, func.coalesce(AssociationRow.way, "") != "ingest"
            )
        )
        with self._database.reading() as session:
            return not set(instance_ids) <= set(session.scalars(sent))

    def any(self) -> bool:
        """True when the database knows instances."""
        with self._database.reading() as session:
            return session.scalar(select(InstanceRow.id).where(InstanceRow.state != InstanceState.LOST).limit(1)) is not None

    def sides(self, instance_id: str) -> frozenset[tuple[int, str]]:
        """Position and side of every knee of an instance, whatever bundle looked at it."""
        with self._database.reading() as session:
            rows = session.execute(select(AssessmentRow.position, AssessmentRow.laterality).where(AssessmentRow.instance_id == instance_id))
            return frozenset((row.position, row.laterality) for row in rows)

    def analysis_is_open(self, study_instance_uid: str) -> bool:
        """True while an analysis of the study waits or runs."""
        with self._database.reading() as session:
            return open_jobs(session, JobKind.ANALYZE_INSTANCE, study_instance_uid) > 0

    def may_bring_more(self, study_instance_uid: str, *, settle: timedelta) -> bool:
        """True while the association that brought the study's last instance is open, for `settle` at most."""
        with self._database.reading() as session:
            last = session.execute(
                select(InstanceRow.received_at, AssociationRow.ended_at)
                .join(AssociationRow, AssociationRow.id == InstanceRow.first_association_id)
                .where(InstanceRow.study_instance_uid == study_instance_uid)
                .order_by(InstanceRow.received_at.desc())
                .limit(1)
            ).one_or_none()
        if last is None or last.ended_at is not None:
            return False
        received_at: datetime = last.received_at
        return datetime.now(UTC) - received_at < settle

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
            self._decide(session, claim, analysis)

    @repeated
    def give_up(self, claim: Claim, analysis: Analysis) -> None:
        """As `finish`, with a dead job: an operator may release it once the cause is gone."""
        with self._database.transaction() as session:
            fail(session, claim, code=analysis.outcome.value, retry_in_seconds=None)
            self._decide(session, claim, analysis)

    def _decide(self, session: Session, claim: Claim, analysis: Analysis) -> None:
        beside_notes(session)
        one_at_a_time(session, analysis.pixel_digest)
        row = session.scalar(select(InstanceRow).where(InstanceRow.id == analysis.instance_id).with_for_update())
        if row is None:
            raise NotFoundError(analysis.instance_id)
        row.pixel_digest = analysis.pixel_digest or row.pixel_digest
        row.identity_removed = analysis.identity_removed or row.identity_removed
        analysis = checked_against_rivals(session, row, settled(session, row, analysis, actor=claim.owner))
        state = analysis.outcome.state
        row.state, row.outcome, row.outcome_reason = state, analysis.outcome, analysis.reason
        row.route, row.decided_at = analysis.route, datetime.now(UTC)
        if analysis.policy is not None:
            row.policy = min(analysis.policy, Policy(row.policy or analysis.policy), key=lambda policy: policy.openness)
        for assessment in analysis.assessments:
            standing = _standing(session, row, assessment)
            if standing is None:
                session.add(_assessment_row(row, assessment))
            elif standing.saliency_purged_at is not None and assessment.reading is not None:
                # the image came again after retention had removed it: its map is drawn anew, what was decided stands
                standing.saliency_file, standing.saliency_digest = assessment.reading.saliency_file, assessment.reading.saliency_digest
                standing.saliency_purged_at = None
        record(
            session,
            _EVENTS[state],
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
        if state in _IN_A_REPORT and analysis.outcome not in SET_ASIDE:
            study = row.study_instance_uid
            resume(session, JobKind.REPORT_STUDY, study, study, code=SourcePurgedError.code, actor=claim.owner)


def _standing(session: Session, row: InstanceRow, assessment: Assessment) -> AssessmentRow | None:
    """The first committed assessment stands."""
    same = select(AssessmentRow).where(
        AssessmentRow.instance_id == row.id,
        AssessmentRow.position == assessment.position,
        AssessmentRow.bundle_hash == assessment.bundle_hash,
        AssessmentRow.shaping_hash == assessment.shaping_hash,
    )
    return session.scalar(same)


def _stored(row: InstanceRow) -> StoredInstance:
    return StoredInstance(
        instance_id=row.id,
        sop_class_uid=row.sop_class_uid,
        sop_instance_uid=row.sop_instance_uid,
        series_instance_uid=row.series_instance_uid,
        study_instance_uid=row.study_instance_uid,
        patient_id=row.patient_id,
        issuer_of_patient_id=row.issuer_of_patient_id,
        file=row.file,
        size=row.size,
        dataset_digest=row.dataset_digest,
        pixel_digest=row.pixel_digest,
        state=row.state,
        outcome=row.outcome,
        route=row.route,
        policy=row.policy,
        received_at=row.received_at,
        purged=row.purged_at is not None,
    )


def _assessment_row(instance: InstanceRow, assessment: Assessment) -> AssessmentRow:
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


def _assessment(row: AssessmentRow) -> Assessment:
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
