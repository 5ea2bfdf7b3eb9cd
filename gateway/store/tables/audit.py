"""What happened, append-only (ADR 0010)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from gateway.store.tables.base import Base, Code, Id, Serial, Uid

_REFUSED = text("event IN ('association:rejected', 'tls:refused', 'connection:refused', 'connection:cut')")


class AuditEventRow(Base):
    """Append-only: triggers of the first migration refuse UPDATE and DELETE."""

    __tablename__ = "audit_event"
    __table_args__ = (
        Index("ix_audit_event_study_instance_uid", "study_instance_uid"),
        Index("ix_audit_event_instance_id", "instance_id"),
        Index("ix_audit_event_refused", "seq", postgresql_where=_REFUSED, sqlite_where=_REFUSED),
    )

    seq: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(160))
    event: Mapped[str] = mapped_column(Code)
    instance_id: Mapped[str | None] = mapped_column(Id)
    study_instance_uid: Mapped[str | None] = mapped_column(Uid)
    detail: Mapped[dict[str, Any]]
