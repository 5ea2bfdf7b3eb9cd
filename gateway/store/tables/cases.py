"""Corrections that came in, each under one case with all that it led to."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from gateway.store.tables.base import Base, Code, Id, Serial, Uid


class AuditCaseRow(Base):
    """One story: everything that was corrected about an image, by whoever, and what was done for it."""

    __tablename__ = "audit_case"
    __table_args__ = (Index("ix_audit_case_opened_at", "opened_at"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    state: Mapped[str] = mapped_column(String(12))
    """settled, held or decided."""
    reason: Mapped[str] = mapped_column(Code)
    """Of the message that opened it."""
    opened_at: Mapped[datetime]
    opened_by: Mapped[str] = mapped_column(String(160))
    """Calling AE title of the sender, or the operator."""


class CorrectionRow(Base):
    """An image in a case: what a message says of it, and since when that holds."""

    __tablename__ = "correction"
    __table_args__ = (
        Index("ix_correction_case_id", "case_id"),
        Index("ix_correction_sop_instance_uid", "sop_instance_uid"),
        Index("ix_correction_instance_id", "instance_id"),
        Index("ix_correction_study_instance_uid", "study_instance_uid"),
        Index("ix_correction_noted_at", "noted_at"),
    )

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    case_id: Mapped[str] = mapped_column(Id, ForeignKey("audit_case.id"))
    role: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Code)
    cause_instance_id: Mapped[str | None] = mapped_column(Id, ForeignKey("instance.id"))
    """The message: a Key Object Selection, or the image that came again. None: an operator's decision."""
    sop_instance_uid: Mapped[str] = mapped_column(Uid)
    study_instance_uid: Mapped[str | None] = mapped_column(Uid)
    instance_id: Mapped[str | None] = mapped_column(Id, ForeignKey("instance.id"))
    """None: named, and not received yet."""
    noted_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]
