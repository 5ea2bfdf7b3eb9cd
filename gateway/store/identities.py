"""Whose an image is, when it comes under several patients or was rejected: settled as its analysis ends (ADR 0032)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from gateway.domain.alarm import AlarmCode
from gateway.domain.assessment import Analysis
from gateway.domain.correction import CaseReason, CaseRole, CaseState, Ruling, gravest
from gateway.domain.outcome import InstanceOutcome, InstanceState
from gateway.domain.retraction import RejectionReason
from gateway.events import Event
from gateway.store.alarms import begin_alarm
from gateway.store.audit_log import record
from gateway.store.cases import case_of, last_word, note_instance, open_case, rejections_of, role_of, sender_of
from gateway.store.likeness import age_of, comes_from_file, of_same_patient, twins_of
from gateway.store.tables import AuditCaseRow, CorrectionRow, InstanceRow
from gateway.store.withdrawal import set_aside, withdraw_reports

TWO_PATIENTS: Final = "same image, two patients"
_REST_OF_STUDY: Final = timedelta(minutes=10)
"""How long a study waits for its other images to come again too: where one was another patient's, they may all be."""
_ASIDE: Final = {
    CaseRole.REJECTED: InstanceOutcome.EXCLUDED_REJECTED,
    CaseRole.REPLACED: InstanceOutcome.EXCLUDED_REPLACED,
    CaseRole.SET_ASIDE: InstanceOutcome.EXCLUDED_CONFLICT,
}


def settled(session: Session, row: InstanceRow, analysis: Analysis, *, actor: str) -> Analysis:
    """The analysis, or what the row is instead. Older data sets of another patient are set aside, or all of them are held.

    The row is locked, and has its pixel digest.
    """
    word = last_word(session, row.id)
    if word is not None and word.role == CaseRole.STANDS:
        return analysis
    if word is not None and word.role in _ASIDE:
        reason = RejectionReason(word.reason).code_value if word.role == CaseRole.REJECTED else word.reason
        return _excluded(analysis, _ASIDE[CaseRole(word.role)], reason)
    note = _rejection_over(session, row)
    if note is not None:
        return _rejected(session, row, note, analysis, actor=actor)
    return _beside_twins(session, row, analysis, actor=actor)


def _beside_twins(session: Session, row: InstanceRow, analysis: Analysis, *, actor: str) -> Analysis:
    twins = twins_of(session, row, by_pixels=analysis.outcome is not InstanceOutcome.QUALITY_BLANK)
    standing = [one for one in twins if not one.is_set_aside]
    files = [one for one in standing if one.ruling is Ruling.FILE_WAITS]
    if files and comes_from_file(session, row):
        return _held_file(session, row, [one.row for one in files], analysis, actor=actor)
    for one in files:
        _hold(session, one.row, row, actor=actor)
    standing = [one for one in standing if one not in files]
    is_contested = any(role_of(session, one.row.id) is CaseRole.CONTESTED for one in standing)
    ruling = gravest(one.ruling for one in standing)
    if is_contested or ruling is Ruling.CONTESTED:
        return _contested(session, row, [one.row for one in standing], analysis, actor=actor)
    if ruling is Ruling.REPLACES:
        return _replaced(session, row, [one.row for one in standing if one.ruling is Ruling.REPLACES], analysis, actor=actor)
    _join(session, row, [one.row for one in twins if one.is_set_aside])
    return analysis


def _excluded(analysis: Analysis, outcome: InstanceOutcome, reason: str) -> Analysis:
    return replace(analysis, outcome=outcome, reason=reason, assessments=())


def _rejection_over(session: Session, row: InstanceRow) -> CorrectionRow | None:
    """The rejection note that holds for a data set which came, or was analysed, after it."""
    return next((note for note in rejections_of(session, row.sop_instance_uid) if _covers(session, note, row)), None)


def _covers(session: Session, note: CorrectionRow, row: InstanceRow) -> bool:
    """113038 says that the patient or the study was wrong, not the image: under another one it is a correction of that.

    Where nothing of it was received before the note there is only the study that it names, and within that one the note holds.
    """
    if note.reason != RejectionReason.WORKLIST or note.instance_id == row.id:
        return True
    if note.instance_id is None:
        return note.study_instance_uid in (None, row.study_instance_uid)
    rejected = session.get_one(InstanceRow, note.instance_id)
    return of_same_patient(rejected, row) and rejected.study_instance_uid == row.study_instance_uid


def _rejected(session: Session, row: InstanceRow, note: CorrectionRow, analysis: Analysis, *, actor: str) -> Analysis:
    case = session.get_one(AuditCaseRow, note.case_id)
    outcome, reason = InstanceOutcome.EXCLUDED_REJECTED, RejectionReason(note.reason)
    waiting = [one for one in rejections_of(session, row.sop_instance_uid) if one.instance_id is None and _covers(session, one, row)]
    for one in waiting:
        one.instance_id, one.study_instance_uid, one.applied_at = row.id, row.study_instance_uid, datetime.now(UTC)
    if note not in waiting:
        note_instance(session, case, CaseRole.REJECTED, note.reason, row, cause=note.cause_instance_id)
    set_aside(session, case, row, outcome, reason.code_value, rejection=reason, actor=actor)
    return _excluded(analysis, outcome, reason.code_value)


def _case(session: Session, row: InstanceRow, others: Sequence[InstanceRow], reason: CaseReason, *, actor: str) -> AuditCaseRow:
    rows = (row, *others)
    known = case_of(session, [one.sop_instance_uid for one in rows], [one.id for one in rows])
    newest = max(rows, key=age_of)
    return known or open_case(
        session, reason, opened_by=sender_of(session, newest), actor=actor, study_instance_uid=newest.study_instance_uid
    )


def _tell(session: Session, case: AuditCaseRow, newest: InstanceRow, reason: CaseReason, *, actor: str) -> None:
    record(
        session,
        Event.CORRECTION_RECEIVED,
        actor=actor,
        instance_id=newest.id,
        study_instance_uid=newest.study_instance_uid,
        sop_instance_uid=newest.sop_instance_uid,
        calling_ae_title=sender_of(session, newest) or None,
        case_id=case.id,
        code=reason.value,
    )


def _replaced(session: Session, row: InstanceRow, others: Sequence[InstanceRow], analysis: Analysis, *, actor: str) -> Analysis:
    """The newest stands; an analysis that ends late may be of an older one."""
    newest = max((row, *others), key=age_of)
    reason, outcome = CaseReason.OTHER_PATIENT, InstanceOutcome.EXCLUDED_REPLACED
    case = _case(session, row, others, reason, actor=actor)
    _tell(session, case, newest, reason, actor=actor)
    for older in (one for one in (*others, row) if one is not newest):
        note_instance(session, case, CaseRole.REPLACED, reason, older, cause=newest.id)
        same_study = older.study_instance_uid == newest.study_instance_uid
        later = timedelta(0) if same_study else _REST_OF_STUDY
        set_aside(session, case, older, outcome, reason, rejection=RejectionReason.WORKLIST, actor=actor, report_after=later)
    note_instance(session, case, CaseRole.REPLACEMENT, reason, newest, cause=newest.id)
    return analysis if newest is row else _excluded(analysis, outcome, reason)


def _contested(session: Session, row: InstanceRow, others: Sequence[InstanceRow], analysis: Analysis, *, actor: str) -> Analysis:
    """Nobody here can know whose the image is: no result of it stands, and a person decides."""
    reason = CaseReason.CONTESTED
    case = _case(session, row, others, reason, actor=actor)
    _tell(session, case, row, reason, actor=actor)
    for other in others:
        if role_of(session, other.id) is not CaseRole.CONTESTED:
            _contest(session, case, other, cause=row.id, actor=actor)
    note_instance(session, case, CaseRole.CONTESTED, reason, row, cause=row.id)
    _ask_a_person(session, case, row, actor=actor)
    return _excluded(analysis, InstanceOutcome.CONFLICT, TWO_PATIENTS)


def _contest(session: Session, case: AuditCaseRow, row: InstanceRow, *, cause: str, actor: str) -> None:
    note_instance(session, case, CaseRole.CONTESTED, CaseReason.CONTESTED, row, cause=cause)
    row.state, row.outcome, row.outcome_reason = InstanceState.CONFLICT, InstanceOutcome.CONFLICT, TWO_PATIENTS
    withdraw_reports(session, case, row, RejectionReason.PATIENT_SAFETY, actor=actor)


def _ask_a_person(session: Session, case: AuditCaseRow, row: InstanceRow, *, actor: str) -> None:
    case.state = CaseState.HELD
    record(session, Event.CASE_HELD, actor=actor, study_instance_uid=row.study_instance_uid, case_id=case.id)
    begin_alarm(session, AlarmCode.IDENTITY_CONTESTED, case.id, actor=actor)


def _held_file(session: Session, row: InstanceRow, sent: Sequence[InstanceRow], analysis: Analysis, *, actor: str) -> Analysis:
    """The row came from a file and claims what was sent for another patient: that stands, and a person decides."""
    case = _case(session, row, sent, CaseReason.CONTESTED, actor=actor)
    _tell(session, case, row, CaseReason.CONTESTED, actor=actor)
    for one in sent:
        _mention(session, case, one, cause=row.id)
    note_instance(session, case, CaseRole.CONTESTED, CaseReason.CONTESTED, row, cause=row.id)
    _ask_a_person(session, case, row, actor=actor)
    return _excluded(analysis, InstanceOutcome.CONFLICT, TWO_PATIENTS)


def _hold(session: Session, file: InstanceRow, row: InstanceRow, *, actor: str) -> None:
    """The row was sent, and stands; an older one from a file claims the image for another patient."""
    if role_of(session, file.id) is CaseRole.CONTESTED:
        return
    case = _case(session, row, [file], CaseReason.CONTESTED, actor=actor)
    _tell(session, case, row, CaseReason.CONTESTED, actor=actor)
    _mention(session, case, row, cause=row.id)
    _contest(session, case, file, cause=row.id, actor=actor)
    _ask_a_person(session, case, file, actor=actor)


def _mention(session: Session, case: AuditCaseRow, row: InstanceRow, *, cause: str) -> None:
    """What stands is part of the story, and the last word on it stays what it was."""
    if last_word(session, row.id) is None:
        note_instance(session, case, CaseRole.NAMED, CaseReason.CONTESTED, row, cause=cause)


def _join(session: Session, row: InstanceRow, former: Sequence[InstanceRow]) -> None:
    """An image that was rejected has come again under another patient: the same story."""
    others = [one.id for one in former if not of_same_patient(one, row)]
    case = case_of(session, (), others) if others else None
    if case is not None:
        note_instance(session, case, CaseRole.REPLACEMENT, CaseReason.OTHER_PATIENT, row, cause=row.id)
