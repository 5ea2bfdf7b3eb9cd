"""The loop of evidence: who sent what, when, from where, in which syntax, and what was answered; and who was refused."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from gateway.domain.story import ReceiptStory, RefusalStory
from gateway.events import Event
from gateway.store.database import Database
from gateway.store.tables import AssociationRow, AuditEventRow, InstanceRow, ReceiptRow

_REFUSALS: Final = tuple(
    event.value for event in (Event.ASSOCIATION_REJECTED, Event.TLS_REFUSED, Event.CONNECTION_REFUSED, Event.CONNECTION_CUT)
)
"""As in the index ix_audit_event_refused."""


class Evidence:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def received(
        self, *, key: str | None = None, calling_ae_title: str | None = None, since: datetime | None = None, limit: int = 200
    ) -> tuple[ReceiptStory, ...]:
        """The last answered C-STOREs, oldest first, all or those of a key (accession number, UID, one of our ids) or a sender."""
        query = receipts_query().order_by(None).order_by(ReceiptRow.received_at.desc(), ReceiptRow.id.desc()).limit(limit)
        if calling_ae_title is not None:
            query = query.where(AssociationRow.calling_ae_title == calling_ae_title)
        if since is not None:
            query = query.where(ReceiptRow.received_at >= since)
        with self._database.reading() as session:
            if key is not None:
                query = query.where(_of_key(session, key))
            return tuple(reversed([receipt_story(*row) for row in session.execute(query)]))

    def rejected(self, *, since: datetime | None = None, limit: int = 200) -> tuple[RefusalStory, ...]:
        """The last refused associations and TLS handshakes, and closed connections, oldest first."""
        query = select(AuditEventRow).where(AuditEventRow.event.in_(_REFUSALS)).order_by(AuditEventRow.seq.desc()).limit(limit)
        if since is not None:
            query = query.where(AuditEventRow.at >= since)
        with self._database.reading() as session:
            return tuple(reversed([_refusal_story(row) for row in session.scalars(query)]))


def receipts_query() -> Any:
    """(receipt, association or None, instance or None), in the order in which they came."""
    return (
        select(ReceiptRow, AssociationRow, InstanceRow)
        .join(AssociationRow, AssociationRow.id == ReceiptRow.association_id, isouter=True)
        .join(InstanceRow, InstanceRow.id == ReceiptRow.instance_id, isouter=True)
        .order_by(ReceiptRow.received_at, ReceiptRow.id)
    )


def receipt_story(receipt: ReceiptRow, association: AssociationRow | None, instance: InstanceRow | None) -> ReceiptStory:
    return ReceiptStory(
        received_at=receipt.received_at,
        calling_ae_title=association.calling_ae_title if association else "",
        called_ae_title=association.called_ae_title if association else "",
        peer_address=association.peer_address if association else "",
        peer=association.peer if association else None,
        tls_version=association.tls_version if association else None,
        certificate_sha256=association.certificate_sha256 if association else None,
        way=association.way if association else "",
        association_id=receipt.association_id,
        sop_class_uid=receipt.sop_class_uid,
        sop_instance_uid=receipt.sop_instance_uid,
        transfer_syntax_uid=receipt.transfer_syntax_uid,
        dimse_status=f"{receipt.dimse_status:04X}",
        reason=receipt.reason,
        instance_id=receipt.instance_id,
        outcome=instance.outcome if instance else None,
    )


def _of_key(session: Session, key: str) -> Any:
    """In two steps, so that each finds its rows by an index."""
    names = or_(
        InstanceRow.accession_number == key,
        InstanceRow.sop_instance_uid == key,
        InstanceRow.series_instance_uid == key,
        InstanceRow.study_instance_uid == key,
        InstanceRow.id == key,
    )
    instances = session.scalars(select(InstanceRow.id).where(names)).all()
    return or_(ReceiptRow.sop_instance_uid == key, ReceiptRow.instance_id.in_(instances))


def _refusal_story(row: AuditEventRow) -> RefusalStory:
    detail = row.detail
    return RefusalStory(
        at=row.at,
        event=row.event,
        reason=str(detail.get("reason", "")),
        calling_ae_title=str(detail.get("calling_ae_title", "")),
        called_ae_title=str(detail.get("called_ae_title", "")),
        peer_address=str(detail.get("peer_address", "")),
        certificate_sha256=detail.get("certificate_sha256"),
        audit_code=detail.get("audit_code"),
        count=int(detail.get("count", 1)),
    )
