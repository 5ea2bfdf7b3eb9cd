"""What the store tells of a case: everything that happened to its studies that belongs to the story, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway.domain.correction import CaseRole
from gateway.domain.story import CaseImage, CaseStory, TimelineEntry
from gateway.events import Event
from gateway.store.cases import in_batches
from gateway.store.database import Database
from gateway.store.job_stories import timeline_entry
from gateway.store.tables import AssociationRow, AuditCaseRow, AuditEventRow, CorrectionRow, InstanceRow

_TOLD: Final = frozenset(
    {
        Event.INSTANCE_STORED,
        Event.INSTANCE_ADOPTED,
        Event.INSTANCE_RECEIVED_AGAIN,
        Event.INSTANCE_ASSESSED,
        Event.INSTANCE_NOT_ASSESSED,
        Event.INSTANCE_FAILED,
        Event.INSTANCE_CONFLICT,
        Event.CONFLICT_DECIDED,
        Event.CASE_OPENED,
        Event.CASE_HELD,
        Event.CASE_DECIDED,
        Event.CORRECTION_RECEIVED,
        Event.CORRECTION_APPLIED,
        Event.CORRECTION_WAITS,
        Event.RESULT_BUILT,
        Event.RESULT_WITHHELD,
        Event.REPORT_RETRACTED,
        Event.REPORT_REJECTED,
        Event.DELIVERY_QUEUED,
        Event.DELIVERY_SENT,
        Event.DELIVERY_DEAD,
        Event.DELIVERY_CANCELLED,
        Event.DELIVERY_COMMITTED,
        Event.DELIVERY_FOUND,
    }
)


def list_cases(database: Database, *, limit: int) -> tuple[CaseStory, ...]:
    """The newest ones, oldest first, without what happened in them."""
    with database.reading() as session:
        rows = session.scalars(select(AuditCaseRow).order_by(AuditCaseRow.opened_at.desc(), AuditCaseRow.id.desc()).limit(limit)).all()
        return tuple(_story(session, row, with_events=False) for row in reversed(rows))


def cases_of(session: Session, key: str, studies: Sequence[str]) -> tuple[CaseStory, ...]:
    """Those that an image of these studies belongs to, or that have this id or name this SOP Instance UID; oldest first."""
    ids = {case_id for case_id in (session.scalar(select(AuditCaseRow.id).where(AuditCaseRow.id == key)),) if case_id}
    ids |= set(session.scalars(select(CorrectionRow.case_id).where(CorrectionRow.sop_instance_uid == key)))
    for batch in in_batches(list(studies)):
        ids |= set(session.scalars(select(CorrectionRow.case_id).where(CorrectionRow.study_instance_uid.in_(batch))))
        of_messages = select(CorrectionRow.case_id).join(InstanceRow, InstanceRow.id == CorrectionRow.cause_instance_id)
        ids |= set(session.scalars(of_messages.where(InstanceRow.study_instance_uid.in_(batch))))
    rows = session.scalars(select(AuditCaseRow).where(AuditCaseRow.id.in_(ids)).order_by(AuditCaseRow.opened_at, AuditCaseRow.id))
    return tuple(_story(session, row, with_events=True) for row in rows)


def _story(session: Session, case: AuditCaseRow, *, with_events: bool) -> CaseStory:
    rows = session.scalars(select(CorrectionRow).where(CorrectionRow.case_id == case.id).order_by(CorrectionRow.id)).all()
    messages = [row.cause_instance_id for row in rows if row.cause_instance_id is not None]
    of_messages = select(InstanceRow.study_instance_uid).where(InstanceRow.id.in_(set(messages)))
    studies = dict.fromkeys(
        [*(row.study_instance_uid for row in rows if row.applied_at and row.study_instance_uid), *session.scalars(of_messages)]
    )
    return CaseStory(
        case_id=case.id,
        state=case.state,
        reason=case.reason,
        opened_at=case.opened_at,
        opened_by=case.opened_by,
        studies=tuple(studies),
        images=tuple(_image(row) for row in rows),
        waits_for=sum(row.instance_id is None and row.role == CaseRole.REJECTED for row in rows),
        events=_events(session, case, tuple(studies)) if with_events else (),
    )


def _image(row: CorrectionRow) -> CaseImage:
    return CaseImage(
        sop_instance_uid=row.sop_instance_uid,
        study_instance_uid=row.study_instance_uid,
        instance_id=row.instance_id,
        role=row.role,
        reason=row.reason,
        noted_at=row.noted_at,
        applied_at=row.applied_at,
    )


def _events(session: Session, case: AuditCaseRow, studies: Sequence[str]) -> tuple[TimelineEntry, ...]:
    found: list[TimelineEntry] = []
    for batch in in_batches(studies):
        rows = select(AuditEventRow).where(AuditEventRow.study_instance_uid.in_(batch), AuditEventRow.event.in_(_TOLD))
        found += [_told(session, row) for row in session.scalars(rows) if row.detail.get("case_id", case.id) == case.id]
    return tuple(sorted(found, key=lambda entry: entry.seq))


def _told(session: Session, row: AuditEventRow) -> TimelineEntry:
    """With its study, and with who sent what was received."""
    entry = timeline_entry(row)
    association = session.get(AssociationRow, row.detail["association_id"]) if row.detail.get("association_id") else None
    sender = {"calling_ae_title": association.calling_ae_title} if association else {}
    return replace(entry, detail={**entry.detail, **sender, "study_instance_uid": row.study_instance_uid})
