"""Cases: which one an image belongs to, and what it is in it. Rows are only added, and the newest of an image counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from gateway.domain.correction import AGAINST, CaseRole, CaseState
from gateway.domain.identifiers import new_id
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.tables import AssociationRow, AuditCaseRow, CorrectionRow, InstanceRow

_BATCH: Final = 500
"""Values of one statement: SQLite and PostgreSQL both bound them."""


def in_batches(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[start : start + _BATCH] for start in range(0, len(values), _BATCH))


def sender_of(session: Session, row: InstanceRow) -> str:
    """The calling AE title that an instance came from first; empty where nobody knows."""
    association = session.get(AssociationRow, row.first_association_id) if row.first_association_id else None
    return association.calling_ae_title if association else ""


def last_word(session: Session, instance_id: str) -> CorrectionRow | None:
    """The newest one on an instance; None where nothing was ever said of it."""
    said = select(CorrectionRow).where(CorrectionRow.instance_id == instance_id).order_by(CorrectionRow.id.desc())
    return session.scalar(said.limit(1))


def role_of(session: Session, instance_id: str) -> CaseRole | None:
    """What an instance is by the newest word on it."""
    word = last_word(session, instance_id)
    return None if word is None else CaseRole(word.role)


def is_set_aside(session: Session, instance_id: str) -> bool:
    return role_of(session, instance_id) in AGAINST


def case_of(session: Session, sop_instance_uids: Sequence[str], instance_ids: Sequence[str] = ()) -> AuditCaseRow | None:
    """The newest case that one of these images belongs to."""
    found: list[AuditCaseRow] = []
    for uids in in_batches(sop_instance_uids):
        found += session.scalars(_cases().where(CorrectionRow.sop_instance_uid.in_(uids)).limit(1))
    for ids in in_batches(instance_ids):
        mentioned = or_(CorrectionRow.instance_id.in_(ids), CorrectionRow.cause_instance_id.in_(ids))
        found += session.scalars(_cases().where(mentioned).limit(1))
    return max(found, key=lambda case: (case.opened_at, case.id), default=None)


def open_case(session: Session, reason: str, *, opened_by: str, actor: str, study_instance_uid: str) -> AuditCaseRow:
    """opened_by: who sent the message, or decided; actor: who acts on it."""
    case = AuditCaseRow(id=new_id(), state=CaseState.SETTLED, reason=reason, opened_at=datetime.now(UTC), opened_by=opened_by[:160])
    session.add(case)
    session.flush()
    record(session, Event.CASE_OPENED, actor=actor, study_instance_uid=study_instance_uid, case_id=case.id, reason=reason)
    return case


def note(
    session: Session,
    case: AuditCaseRow,
    role: CaseRole,
    reason: str,
    *,
    sop_instance_uid: str,
    study_instance_uid: str | None,
    instance_id: str | None,
    cause_instance_id: str | None,
) -> bool:
    """False when it was noted already by the same message, or by a person and nothing has been said of the image since."""
    same = select(CorrectionRow.id).where(
        CorrectionRow.case_id == case.id,
        CorrectionRow.role == role,
        CorrectionRow.sop_instance_uid == sop_instance_uid,
        CorrectionRow.instance_id == instance_id,
        CorrectionRow.cause_instance_id == cause_instance_id,
    )
    known = session.scalar(same.order_by(CorrectionRow.id.desc()).limit(1))
    newest = None if instance_id is None or cause_instance_id is not None else last_word(session, instance_id)
    if known is not None and (newest is None or newest.id == known):
        return False
    now = datetime.now(UTC)
    session.add(
        CorrectionRow(
            case_id=case.id,
            role=role,
            reason=reason,
            cause_instance_id=cause_instance_id,
            sop_instance_uid=sop_instance_uid,
            study_instance_uid=study_instance_uid,
            instance_id=instance_id,
            noted_at=now,
            applied_at=None if instance_id is None and role is not CaseRole.RESULT else now,
        )
    )
    session.flush()
    return True


def note_instance(session: Session, case: AuditCaseRow, role: CaseRole, reason: str, row: InstanceRow, *, cause: str | None) -> bool:
    """`note` of a received image. cause: our id of the message."""
    return note(
        session,
        case,
        role,
        reason,
        sop_instance_uid=row.sop_instance_uid,
        study_instance_uid=row.study_instance_uid,
        instance_id=row.id,
        cause_instance_id=cause,
    )


def rejections_of(session: Session, sop_instance_uid: str) -> Sequence[CorrectionRow]:
    """What rejection notes have said of a SOP Instance UID, oldest first."""
    named = select(CorrectionRow).where(CorrectionRow.sop_instance_uid == sop_instance_uid, CorrectionRow.role == CaseRole.REJECTED)
    return session.scalars(named.order_by(CorrectionRow.id)).all()


def held_case(session: Session, row: InstanceRow) -> AuditCaseRow | None:
    """The case in which this image is contested, while it is."""
    if role_of(session, row.id) is not CaseRole.CONTESTED:
        return None
    case = case_of(session, (), (row.id,))
    return case if case is not None and case.state == CaseState.HELD else None


def contested_with(session: Session, row: InstanceRow) -> Iterator[str]:
    """Our ids of the other images of the held case that this one is contested in."""
    case = held_case(session, row)
    if case is None:
        return
    contested = select(CorrectionRow.instance_id).where(CorrectionRow.case_id == case.id, CorrectionRow.role == CaseRole.CONTESTED)
    yield from {one for one in session.scalars(contested) if one is not None and one != row.id}


def _cases() -> Select[AuditCaseRow]:
    return (
        select(AuditCaseRow)
        .join(CorrectionRow, CorrectionRow.case_id == AuditCaseRow.id)
        .order_by(AuditCaseRow.opened_at.desc(), AuditCaseRow.id.desc())
    )
