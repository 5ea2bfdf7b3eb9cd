"""What came in: associations, instances, receipts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from gateway.store.tables.base import Base, Code, Digest, Id, Uid

_KEPT = text("purged_at IS NULL")


class AssociationRow(Base):
    __tablename__ = "association"
    __table_args__ = (
        Index("ix_association_open", "owner", postgresql_where=text("ended_at IS NULL"), sqlite_where=text("ended_at IS NULL")),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    calling_ae_title: Mapped[str] = mapped_column(String(16))
    called_ae_title: Mapped[str] = mapped_column(String(16))
    peer_address: Mapped[str] = mapped_column(String(64))
    way: Mapped[str] = mapped_column(String(16))
    """`c_store` or `ingest`."""
    opened_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ending: Mapped[str | None] = mapped_column(String(16))
    owner: Mapped[str | None] = mapped_column(Id)
    """The process that holds it (store.process_file); None in rows of releases that did not say."""
    peer: Mapped[str | None] = mapped_column(String(64))
    """The `[[peers]]` table that admitted it; None for `ingest`, and in a development set-up without peers."""
    tls_version: Mapped[str | None] = mapped_column(String(16))
    """None = plain DICOM."""
    certificate_sha256: Mapped[str | None] = mapped_column(Digest)


class InstanceRow(Base):
    __tablename__ = "instance"
    __table_args__ = (
        UniqueConstraint("sop_instance_uid", "dataset_digest"),
        Index("ix_instance_study_instance_uid", "study_instance_uid"),
        Index("ix_instance_accession_number", "accession_number"),
        # what retention looks through, oldest first
        Index("ix_instance_kept", "received_at", postgresql_where=_KEPT, sqlite_where=_KEPT),
        Index("ix_instance_state", "state", postgresql_where=text("state = 'stored'"), sqlite_where=text("state = 'stored'")),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    sop_class_uid: Mapped[str] = mapped_column(Uid)
    sop_instance_uid: Mapped[str] = mapped_column(Uid)
    series_instance_uid: Mapped[str] = mapped_column(Uid, index=True)
    study_instance_uid: Mapped[str] = mapped_column(Uid)
    accession_number: Mapped[str] = mapped_column(Text)
    patient_id: Mapped[str] = mapped_column(Text)
    issuer_of_patient_id: Mapped[str] = mapped_column(Text)
    modality: Mapped[str] = mapped_column(Text)
    manufacturer: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    station: Mapped[str] = mapped_column(Text)
    study_date: Mapped[str] = mapped_column(Text)
    transfer_syntax_uid: Mapped[str] = mapped_column(Uid)
    dataset_digest: Mapped[str] = mapped_column(Digest)
    pixel_digest: Mapped[str | None] = mapped_column(Digest, index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    file: Mapped[str] = mapped_column(String(128))
    first_association_id: Mapped[str | None] = mapped_column(Id, ForeignKey("association.id"))
    received_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(16))
    outcome: Mapped[str | None] = mapped_column(Code)
    outcome_reason: Mapped[str | None] = mapped_column(Text)
    route: Mapped[str | None] = mapped_column(String(64))
    policy: Mapped[str | None] = mapped_column(String(16))
    """The strictest policy that a decision was made under: what was seen in shadow is never shown later."""
    decided_at: Mapped[datetime | None]
    identity_removed: Mapped[bool | None]
    """Patient Identity Removed (0012,0062) is YES; None while it was not analysed."""
    purged_at: Mapped[datetime | None]
    """Retention has decided that the file goes; all else of the row stays."""


class ReceiptRow(Base):
    __tablename__ = "receipt"
    __table_args__ = (Index("ix_receipt_sop_instance_uid", "sop_instance_uid"), Index("ix_receipt_received_at", "received_at"))

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    association_id: Mapped[str | None] = mapped_column(Id, ForeignKey("association.id"))
    instance_id: Mapped[str | None] = mapped_column(Id, ForeignKey("instance.id"), index=True)
    sop_class_uid: Mapped[str] = mapped_column(Text)
    sop_instance_uid: Mapped[str] = mapped_column(Text)
    transfer_syntax_uid: Mapped[str] = mapped_column(Uid)
    received_at: Mapped[datetime]
    dimse_status: Mapped[int]
    reason: Mapped[str] = mapped_column(Code)
    """`stored`, `received_again`, `own_result`, or why it was refused."""
