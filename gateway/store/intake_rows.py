"""Associations and refusals as rows. Each function may be run again with the same value: what stands there already stays."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from gateway.domain.answered import EndedAssociation, OpenedAssociation, Refusal
from gateway.domain.job import JobKind, JobState
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.tables import AssociationRow, InstanceRow, JobRow, ReceiptRow

PROCESS_DIED = "process_died"
"""The ending of an association whose process has not recorded one."""


def add_association(session: Session, opened: OpenedAssociation, *, owner: str | None, actor: str) -> None:
    admitted = opened.admitted_by
    is_new = _insert(
        session,
        AssociationRow,
        id=opened.id,
        calling_ae_title=opened.calling_ae_title,
        called_ae_title=opened.called_ae_title,
        peer_address=opened.peer_address,
        way=opened.way,
        opened_at=opened.opened_at,
        owner=owner,
        peer=admitted.peer,
        tls_version=admitted.tls_version,
        certificate_sha256=admitted.certificate_sha256,
    )
    if not is_new:
        return
    record(
        session,
        Event.ASSOCIATION_ACCEPTED,
        actor=actor,
        association_id=opened.id,
        calling_ae_title=opened.calling_ae_title,
        called_ae_title=opened.called_ae_title,
        peer_address=opened.peer_address,
        peer=admitted.peer,
        certificate_sha256=admitted.certificate_sha256,
    )


def end_association(session: Session, ended: EndedAssociation, *, actor: str) -> None:
    row = session.get(AssociationRow, ended.association_id)
    if row is not None:
        end_row(session, row, ended.ending, ended.ended_at, actor=actor)


def end_row(session: Session, row: AssociationRow, ending: str, ended_at: datetime, *, actor: str) -> None:
    if row.ended_at is not None:
        return
    row.ended_at, row.ending = ended_at, ending
    _pull_reports_forward(session, row.id)
    record(
        session,
        Event.ASSOCIATION_RELEASED if ending == "released" else Event.ASSOCIATION_ABORTED,
        actor=actor,
        association_id=row.id,
        calling_ae_title=row.calling_ae_title,
        reason=ending if ending == PROCESS_DIED else None,
    )


def _pull_reports_forward(session: Session, association_id: str) -> None:
    """The association will bring no more: reports that wait for its end are due."""
    studies = select(InstanceRow.study_instance_uid).where(InstanceRow.first_association_id == association_id)
    waiting = update(JobRow).where(
        JobRow.kind == JobKind.REPORT_STUDY,
        JobRow.subject.in_(studies),
        JobRow.state == JobState.QUEUED,
        JobRow.next_at > datetime.now(UTC),
    )
    session.execute(waiting.values(next_at=datetime.now(UTC)), execution_options={"synchronize_session": False})


def add_refusal(session: Session, refusal: Refusal, *, actor: str) -> None:
    is_new = _insert(
        session,
        ReceiptRow,
        id=refusal.id,
        association_id=refusal.association_id,
        instance_id=None,
        sop_class_uid=refusal.sop_class_uid,
        sop_instance_uid=refusal.sop_instance_uid,
        transfer_syntax_uid=refusal.transfer_syntax_uid,
        received_at=refusal.received_at,
        dimse_status=refusal.dimse_status,
        reason=refusal.reason,
    )
    if not is_new:
        return
    record(
        session,
        Event.INSTANCE_REFUSED,
        actor=actor,
        sop_instance_uid=refusal.sop_instance_uid,
        dimse_status=f"{refusal.dimse_status:04X}",
        reason=refusal.reason,
        association_id=refusal.association_id,
    )


def _insert(session: Session, table: type[AssociationRow | ReceiptRow], **values: Any) -> bool:
    """False when its row is there already. The database decides that: another transaction's row, not committed yet, is waited for."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).values(values).on_conflict_do_nothing(index_elements=["id"])
    return session.scalar(statement.returning(table.id)) is not None
