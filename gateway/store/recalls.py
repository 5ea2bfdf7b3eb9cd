"""Recalls by an operator: what they are about, and their steps, each one bounded transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from gateway.domain.bundle_state import BundleAction, BundleState
from gateway.domain.delivery import FINISHED, DeliveryState
from gateway.domain.operator import Operator
from gateway.domain.recall import Effect, RecalledDestination, RecalledReport, RecallScope, RecallTarget
from gateway.domain.retraction import REJECTION, RejectionReason, needs_note
from gateway.errors import PatientNotUniqueError, RecallTargetError
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.repeating import repeated
from gateway.store.retractions import Retraction, deliveries_of, lock_study, retract
from gateway.store.send_records import send_record
from gateway.store.tables import BundleActRow, BundleVersionRow, DeliveryRow, InstanceRow, RecalledStudyRow, ResultRow

_SHORTEST_HASH: Final = 8


class Recalls:
    """Asked first what a target means, then for its steps: `withdraw`, and `take_back` for each report."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def studies(self, target: RecallTarget) -> tuple[str, ...]:
        """Of a study or a patient; none of a bundle, whose studies may be assessed anew by another.

        RecallTargetError where nothing is known under the key, PatientNotUniqueError for an id of several issuers when none is given.
        """
        if target.scope is RecallScope.BUNDLE:
            return ()
        with self._database.reading() as session:
            if target.scope is RecallScope.STUDY:
                found = session.scalars(select(InstanceRow.study_instance_uid).where(InstanceRow.study_instance_uid == target.key).limit(1))
                uids = tuple(found)
            else:
                uids = _of_patient(session, target)
        if not uids:
            raise RecallTargetError(target.scope.value)
        return uids

    def bundle(self, key: str) -> str:
        """The whole hash of a bundle that was in use, by at least eight of its first characters."""
        wanted = BundleVersionRow.bundle_hash.startswith(key, autoescape=True)
        with self._database.reading() as session:
            found = session.scalars(select(BundleVersionRow.bundle_hash).where(wanted).limit(2)).all()
        if len(key) < _SHORTEST_HASH or len(found) != 1:
            raise RecallTargetError("bundle")
        return found[0]

    def reports(self, target: RecallTarget, studies: Sequence[str]) -> tuple[str, ...]:
        """The assessment sets that the recall is about, those already taken back included, oldest first."""
        about: ColumnElement[bool] = (
            ResultRow.bundle_hash == target.key if target.scope is RecallScope.BUNDLE else ResultRow.study_instance_uid.in_(studies)
        )
        wanted = select(ResultRow.assessment_set).where(about, ResultRow.kind == "sr").order_by(ResultRow.created_at, ResultRow.id)
        with self._database.reading() as session:
            return tuple(session.scalars(wanted))

    def report(self, assessment_set: str) -> RecalledReport:
        """How a report stands at each of its destinations, and what a recall would do, or has done, there."""
        with self._database.reading() as session:
            row = session.scalars(select(ResultRow).where(ResultRow.assessment_set == assessment_set, ResultRow.kind == "sr")).one()
            deliveries = session.scalars(deliveries_of(assessment_set)).all()
            notes = select(ResultRow.id).where(ResultRow.assessment_set == assessment_set, ResultRow.kind == REJECTION)
            noted = {one.destination: one for one in session.scalars(select(DeliveryRow).where(DeliveryRow.result_id.in_(notes)))}
            return RecalledReport(
                study_instance_uid=row.study_instance_uid,
                revision=row.revision,
                assessment_set=assessment_set,
                sop_instance_uid=row.sop_instance_uid,
                release=row.release,
                already=row.retracted_at is not None,
                destinations=tuple(
                    _at_destination(session, row, name, [one for one in deliveries if one.destination == name], noted.get(name))
                    for name in sorted({one.destination for one in deliveries})
                ),
            )

    @repeated
    def retire(self, bundle_hash: str, reason: RejectionReason, operator: Operator) -> bool:
        """False when it was retired before. Reports that are being made by it at this moment come before this, or not at all."""
        with self._database.transaction() as session:
            row = session.scalars(select(BundleVersionRow).where(BundleVersionRow.bundle_hash == bundle_hash).with_for_update()).one()
            if row.state == BundleState.RETIRED:
                return False
            row.state, row.live_since, row.live_until = BundleState.RETIRED, None, None
            session.add(
                BundleActRow(
                    action=BundleAction.RETIRE, bundle_hash=bundle_hash, at=datetime.now(UTC), by=operator.actor, reason=operator.reason
                )
            )
            record(session, Event.BUNDLE_RETIRED, actor=operator.actor, bundle_hash=bundle_hash, code=reason.value, reason=operator.reason)
            return True

    @repeated
    def withhold(self, study_instance_uid: str, reason: RejectionReason, operator: Operator) -> bool:
        """What is built of the study from now on waits for a person. False when that was so before."""
        with self._database.transaction() as session:
            lock_study(session, study_instance_uid)
            if session.get(RecalledStudyRow, study_instance_uid) is not None:
                return False
            session.add(
                RecalledStudyRow(
                    study_instance_uid=study_instance_uid, reason=reason, recalled_at=datetime.now(UTC), recalled_by=operator.actor
                )
            )
            record(
                session,
                Event.STUDY_RECALLED,
                actor=operator.actor,
                study_instance_uid=study_instance_uid,
                code=reason.value,
                reason=operator.reason,
            )
            return True

    @repeated
    def take_back(self, assessment_set: str, reason: RejectionReason, operator: Operator) -> Retraction:
        with self._database.transaction() as session:
            return retract(session, assessment_set=assessment_set, reason=reason, actor=operator.actor, cause=operator.reason)


def _of_patient(session: Session, target: RecallTarget) -> tuple[str, ...]:
    named = InstanceRow.patient_id == target.key
    issuers = set(session.scalars(select(InstanceRow.issuer_of_patient_id).where(named).distinct()))
    if target.issuer is None and len(issuers) > 1:
        raise PatientNotUniqueError
    wanted = select(InstanceRow.study_instance_uid).where(named).distinct().order_by(InstanceRow.study_instance_uid)
    if target.issuer is not None:
        wanted = wanted.where(InstanceRow.issuer_of_patient_id == target.issuer)
    return tuple(session.scalars(wanted))


def _at_destination(
    session: Session, report: ResultRow, name: str, deliveries: Sequence[DeliveryRow], note: DeliveryRow | None
) -> RecalledDestination:
    if any(needs_note(send_record(session, one)[0]) for one in deliveries):
        effect = Effect.REJECT
    elif any(one.state not in FINISHED for one in deliveries) or (
        report.retracted_at is not None and any(one.state == DeliveryState.CANCELLED for one in deliveries)
    ):
        effect = Effect.CANCEL
    else:
        effect = Effect.NOTHING
    return RecalledDestination(
        destination=name,
        states=tuple(sorted({one.state for one in deliveries})),
        effect=effect,
        note=None if note is None else (note.state, note.last_code),
    )
