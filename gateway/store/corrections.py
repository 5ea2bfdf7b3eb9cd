"""What a Key Object Selection asks for, done in one transaction with the end of its job."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway.domain.alarm import AlarmCode
from gateway.domain.correction import CaseRole, KeyObjects, NamedInstance
from gateway.domain.job import Claim, JobKind
from gateway.domain.outcome import InstanceOutcome, InstanceState
from gateway.domain.retraction import RejectionReason
from gateway.errors import GatewayError, NotFoundError
from gateway.events import Event
from gateway.store.alarms import begin_alarm, end_alarm
from gateway.store.audit_log import record
from gateway.store.cases import case_of, held_case, in_batches, is_set_aside, note, note_instance, open_case, sender_of
from gateway.store.database import Database
from gateway.store.image_locks import beside_analyses
from gateway.store.job_queue import enqueue, fail, finish
from gateway.store.likeness import age_of, of_same_patient
from gateway.store.repeating import repeated
from gateway.store.retractions import retract
from gateway.store.tables import AuditCaseRow, InstanceRow, ResultRow
from gateway.store.withdrawal import set_aside

_REJECTS_NOTHING: Final = "rejects_nothing"


class Corrections:
    """Ends apply_correction jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @repeated
    def apply(self, claim: Claim, key_objects: KeyObjects) -> InstanceOutcome:
        """What the document's own instance came to. The same note again, under whatever UID, finds everything done."""
        with self._database.transaction() as session:
            beside_analyses(session)
            row = _locked(session, claim.subject)
            reason = key_objects.rejection
            if reason is not None:
                _reject(session, row, reason, key_objects.named, actor=claim.owner)
            finish(session, claim, code=key_objects.outcome.value, actor=claim.owner)
            said = reason.code_value if reason is not None else _REJECTS_NOTHING
            _decide(session, claim, row, key_objects.outcome, said)
            end_alarm(session, AlarmCode.CORRECTION_FAILED, row.id, actor=claim.owner)
            return key_objects.outcome

    @repeated
    def give_up(self, claim: Claim, error: GatewayError) -> None:
        """The document cannot be understood: kept, and its job is dead, for a person to look at."""
        with self._database.transaction() as session:
            row = _locked(session, claim.subject)
            fail(session, claim, code=error.code, retry_in_seconds=None)
            _decide(session, claim, row, InstanceOutcome.FAILED_KEY_OBJECT, type(error).__name__)
            begin_alarm(session, AlarmCode.CORRECTION_FAILED, row.id, actor=claim.owner)


def _locked(session: Session, instance_id: str) -> InstanceRow:
    row = session.scalar(select(InstanceRow).where(InstanceRow.id == instance_id).with_for_update())
    if row is None:
        raise NotFoundError(instance_id)
    return row


def _decide(session: Session, claim: Claim, row: InstanceRow, outcome: InstanceOutcome, reason: str) -> None:
    row.state, row.outcome, row.outcome_reason, row.decided_at = outcome.state, outcome, reason, datetime.now(UTC)
    record(
        session,
        Event.INSTANCE_FAILED if outcome.state is InstanceState.FAILED else Event.INSTANCE_NOT_ASSESSED,
        actor=claim.owner,
        instance_id=row.id,
        study_instance_uid=row.study_instance_uid,
        sop_instance_uid=row.sop_instance_uid,
        code=outcome.value,
        reason=reason,
    )


def _reject(session: Session, message: InstanceRow, reason: RejectionReason, named: Sequence[NamedInstance], *, actor: str) -> None:
    uids = [one.sop_instance_uid for one in named]
    known = _known(session, uids)
    case = case_of(session, uids, [row.id for row in known]) or open_case(
        session, reason.value, opened_by=sender_of(session, message), actor=actor, study_instance_uid=message.study_instance_uid
    )
    record(
        session,
        Event.CORRECTION_RECEIVED,
        actor=actor,
        instance_id=message.id,
        study_instance_uid=message.study_instance_uid,
        sop_instance_uid=message.sop_instance_uid,
        calling_ae_title=sender_of(session, message) or None,
        case_id=case.id,
        code=reason.code_value,
        count=len(named),
    )
    role = CaseRole.NAMED if reason is RejectionReason.RETENTION else CaseRole.REJECTED
    meant = _meant(session, message, known, named, reason)
    for row in meant:
        is_new = not is_set_aside(session, row.id)
        note_instance(session, case, role, reason.value, row, cause=message.id)
        if role is CaseRole.REJECTED and is_new:
            set_aside(session, case, row, InstanceOutcome.EXCLUDED_REJECTED, reason.code_value, rejection=reason, actor=actor)
    if role is CaseRole.REJECTED:
        _free_copies(session, known, meant, actor=actor)
    results = _results(session, uids)
    if role is CaseRole.REJECTED:
        for uid in results:
            _note_result(session, case, uid, reason, message)
        for assessment_set in dict.fromkeys(results.values()):
            retract(session, assessment_set=assessment_set, reason=reason, actor=actor, cause=case.id)
    here = {row.sop_instance_uid for row in known} | results.keys()
    _wait(session, case, message, reason, [one for one in named if one.sop_instance_uid not in here], role, actor=actor)


def _meant(
    session: Session, message: InstanceRow, known: Sequence[InstanceRow], named: Sequence[NamedInstance], reason: RejectionReason
) -> list[InstanceRow]:
    """113038 speaks of a wrong patient or study: a corrected copy under the same UID, which may be here already, is not meant."""
    if reason is not RejectionReason.WORKLIST:
        return list(known)
    of_uid: dict[str, list[InstanceRow]] = {}
    for row in known:
        of_uid.setdefault(row.sop_instance_uid, []).append(row)
    studies = {one.sop_instance_uid: one.study_instance_uid for one in named}
    return [row for uid, rows in of_uid.items() for row in _wrong_ones(session, message, rows, studies.get(uid))]


def _wrong_ones(session: Session, message: InstanceRow, rows: Sequence[InstanceRow], study: str | None) -> list[InstanceRow]:
    """Of one UID: those of the named study; of these, where one was set aside already, that one, and one of the note's own patient; else
    the oldest one's patient and study, or all where the note is in a later one's patient.
    """
    rows = [row for row in rows if row.study_instance_uid == study] or rows
    of_note = [row for row in rows if message.patient_id and of_same_patient(message, row)]
    aside = [row for row in rows if is_set_aside(session, row.id)]
    if aside:
        return [row for row in rows if row in aside or row in of_note]
    oldest = min(rows, key=age_of)
    if of_note and oldest not in of_note:
        return list(rows)
    return [row for row in rows if of_same_patient(oldest, row) and row.study_instance_uid == oldest.study_instance_uid]


def _free_copies(session: Session, known: Sequence[InstanceRow], rejected: Sequence[InstanceRow], *, actor: str) -> None:
    """A copy that waited for a person beside what is rejected now has nothing left to be in conflict with."""
    gone = {(row.sop_instance_uid, row.pixel_digest) for row in rejected}
    for row in known:
        if row in rejected or row.state != InstanceState.CONFLICT or (row.sop_instance_uid, row.pixel_digest) not in gone:
            continue
        if row.pixel_digest is not None and held_case(session, row) is None:
            row.state, row.outcome, row.outcome_reason, row.decided_at = InstanceState.STORED, None, None, None
            session.flush()
            enqueue(session, JobKind.ANALYZE_INSTANCE, row.id, row.study_instance_uid, actor=actor)


def _note_result(session: Session, case: AuditCaseRow, uid: str, reason: RejectionReason, message: InstanceRow) -> None:
    study = session.scalar(select(ResultRow.study_instance_uid).where(ResultRow.sop_instance_uid == uid))
    note(
        session,
        case,
        CaseRole.RESULT,
        reason.value,
        sop_instance_uid=uid,
        study_instance_uid=study,
        instance_id=None,
        cause_instance_id=message.id,
    )


def _wait(
    session: Session,
    case: AuditCaseRow,
    message: InstanceRow,
    reason: RejectionReason,
    absent: Sequence[NamedInstance],
    role: CaseRole,
    *,
    actor: str,
) -> None:
    """Images that are not here: the note is remembered for them, since nothing says which comes first."""
    for one in absent:
        note(
            session,
            case,
            role,
            reason.value,
            sop_instance_uid=one.sop_instance_uid,
            study_instance_uid=one.study_instance_uid,
            instance_id=None,
            cause_instance_id=message.id,
        )
    if absent:
        study = message.study_instance_uid
        record(session, Event.CORRECTION_WAITS, actor=actor, study_instance_uid=study, case_id=case.id, count=len(absent))


def _known(session: Session, uids: Sequence[str]) -> list[InstanceRow]:
    """Every data set of these that is here, locked in the order in which analyses lock."""
    found: list[InstanceRow] = []
    for batch in in_batches(sorted(uids)):
        rows = select(InstanceRow).where(InstanceRow.sop_instance_uid.in_(batch)).order_by(InstanceRow.id)
        found += session.scalars(rows.with_for_update())
    return found


def _results(session: Session, uids: Sequence[str]) -> dict[str, str]:
    """Results of ours that somebody rejects: SOP Instance UID -> set of assessments."""
    found: dict[str, str] = {}
    for batch in in_batches(uids):
        rows = session.execute(select(ResultRow.sop_instance_uid, ResultRow.assessment_set).where(ResultRow.sop_instance_uid.in_(batch)))
        found |= {row.sop_instance_uid: row.assessment_set for row in rows}
    return found
