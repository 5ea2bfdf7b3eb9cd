"""Results, what they were made of, and their way to destinations."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from gateway.store.tables.base import Base, Code, Digest, Id, Serial, Uid

_KEPT = text("purged_at IS NULL")
_DEAD = text("state = 'dead'")


class ResultRow(Base):
    __tablename__ = "result"
    __table_args__ = (
        UniqueConstraint("sop_instance_uid"),
        # two workers that report one study at the same moment cannot both make its next revision
        Index("uq_result_revision", "study_instance_uid", "kind", "revision", unique=True),
        Index("ix_result_study_instance_uid", "study_instance_uid"),
        Index("ix_result_kept", "created_at", postgresql_where=_KEPT, sqlite_where=_KEPT),
        Index("ix_result_file", "file"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(Uid)
    assessment_set: Mapped[str] = mapped_column(Digest, index=True)
    """SHA-256 over everything the result's UIDs are derived from, without the kind."""
    kind: Mapped[str] = mapped_column(String(32))
    """`sr`, `sc_report_page`, `sc_overlay_<n>`, or `rejection`: the note that takes the others of its assessment set back."""
    sop_class_uid: Mapped[str] = mapped_column(Uid)
    sop_instance_uid: Mapped[str] = mapped_column(Uid)
    series_instance_uid: Mapped[str] = mapped_column(Uid)
    file: Mapped[str] = mapped_column(String(128))
    sha256: Mapped[str] = mapped_column(Digest)
    release: Mapped[str] = mapped_column(Code)
    route: Mapped[str] = mapped_column(String(64))
    flagged: Mapped[bool]
    revision: Mapped[int]
    predecessor_uid: Mapped[str | None] = mapped_column(Uid)
    repeats_uid: Mapped[str | None] = mapped_column(Uid)
    """`withheld_repeat`: the SR of another study that has told as much of the patient."""
    bundle_hash: Mapped[str] = mapped_column(Digest)
    config_hash: Mapped[str] = mapped_column(Digest)
    created_at: Mapped[datetime]
    purged_at: Mapped[datetime | None]
    """As of an instance."""
    retracted_at: Mapped[datetime | None]
    """The report was taken back: of all its results at once, never of its rejection note."""
    rejection_reason: Mapped[str | None] = mapped_column(String(16))
    """Why, as the rejection note says it."""


class RecalledStudyRow(Base):
    """A study that an operator has recalled: what is built of it later waits for a person."""

    __tablename__ = "recalled_study"

    study_instance_uid: Mapped[str] = mapped_column(Uid, primary_key=True)
    reason: Mapped[str] = mapped_column(String(16))
    recalled_at: Mapped[datetime]
    recalled_by: Mapped[str] = mapped_column(String(160))


class ReportRow(Base):
    """What a set of results was made of: from it and the images the same files can be made again."""

    __tablename__ = "report"

    assessment_set: Mapped[str] = mapped_column(Digest, primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(Uid, index=True)
    patient_digest: Mapped[str | None] = mapped_column(Digest, index=True)
    """SHA-256 over issuer, patient id and birth date; None without a patient id."""
    study_date: Mapped[str] = mapped_column(String(8))
    """YYYYMMDD, or empty."""
    policy: Mapped[str] = mapped_column(String(16))
    routes: Mapped[list[str]]
    """Every route that brought one of the study's images; the strictest of their policies held."""
    told: Mapped[dict[str, Any]]
    """The assessed knees that the report names: side, decision, image."""
    inputs: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class DeliveryRow(Base):
    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("result_id", "destination"),
        # what the alarm of dead deliveries asks for, again and again
        Index("ix_delivery_dead", "destination", postgresql_where=_DEAD, sqlite_where=_DEAD),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    result_id: Mapped[str] = mapped_column(Id, ForeignKey("result.id"))
    destination: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(default=0)
    last_status: Mapped[int | None]
    last_code: Mapped[str | None] = mapped_column(Code)
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    committed_at: Mapped[datetime | None]
    transaction_uid: Mapped[str | None] = mapped_column(Uid)
    """Of the newest storage commitment request; `delivery_attempt` has all of them."""


class DeliveryAttemptRow(Base):
    """One request to a destination for one delivery, and what came of it."""

    __tablename__ = "delivery_attempt"
    __table_args__ = (
        Index("ix_delivery_attempt_delivery_id", "delivery_id", "id"),
        Index("uq_delivery_attempt_transaction_uid", "transaction_uid", unique=True),
    )

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    delivery_id: Mapped[str] = mapped_column(Id, ForeignKey("delivery.id"))
    kind: Mapped[str] = mapped_column(String(16))
    """`send`, `commitment` or `find`."""
    actor: Mapped[str] = mapped_column(String(160))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    """None: its answer never came to be known here."""
    code: Mapped[str | None] = mapped_column(Code)
    dimse_status: Mapped[int | None]
    transaction_uid: Mapped[str | None] = mapped_column(Uid)
    reported_at: Mapped[datetime | None]
    """When the storage commitment report to it came."""
    failure_reason: Mapped[int | None]
    """Of that report (PS3.3 C.14); None = committed."""
