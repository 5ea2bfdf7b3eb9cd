"""The gateway itself: what it runs by, where, and what stands against it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from gateway.store.tables.base import Base, Code, Digest, Id, Serial, Uid

_OPEN = text("rejected_at IS NULL")


class ConfigVersionRow(Base):
    __tablename__ = "config_version"

    config_hash: Mapped[str] = mapped_column(Digest, primary_key=True)
    content: Mapped[dict[str, Any]]
    first_used_at: Mapped[datetime]


class SupervisorRow(Base):
    """Changed again and again, unlike what happened: that is in the audit."""

    __tablename__ = "supervisor"

    name: Mapped[str] = mapped_column(String(160), primary_key=True)
    host: Mapped[str] = mapped_column(String(160))
    roles: Mapped[list[str]]
    config_hash: Mapped[str] = mapped_column(Digest)
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    hindrances: Mapped[list[list[str]]]
    """[cause, subject] each; empty = ready."""


class BundleVersionRow(Base):
    __tablename__ = "bundle_version"
    # two promotions at the same moment cannot both hold
    __table_args__ = (
        Index("uq_bundle_version_live", "state", unique=True, postgresql_where=text("state = 'live'"), sqlite_where=text("state = 'live'")),
    )

    bundle_hash: Mapped[str] = mapped_column(Digest, primary_key=True)
    weights_sha256: Mapped[str] = mapped_column(Digest)
    name: Mapped[str] = mapped_column(Text)
    version: Mapped[str] = mapped_column(String(64))
    intended_use: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(12))
    """`gateway.domain.bundle_state.BundleState`."""
    first_used_at: Mapped[datetime]
    live_since: Mapped[datetime | None]
    """Of a live or former one: what ended before was seen in shadow."""
    live_until: Mapped[datetime | None]
    """Of a former one."""


class BundleActRow(Base):
    """What people have done with bundles: the present state follows from the last acts. Never changed."""

    __tablename__ = "bundle_act"

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    action: Mapped[str] = mapped_column(String(12))
    bundle_hash: Mapped[str] = mapped_column(Digest, ForeignKey("bundle_version.bundle_hash"), index=True)
    former_hash: Mapped[str | None] = mapped_column(Digest)
    """The one that was live before."""
    at: Mapped[datetime]
    by: Mapped[str] = mapped_column(String(160))
    second: Mapped[str | None] = mapped_column(String(160))
    reason: Mapped[str] = mapped_column(String(64))
    evidence_sha256: Mapped[str | None] = mapped_column(Digest)
    """Of the validation report."""
    evidence: Mapped[dict[str, Any] | None]
    """Its figures in the intended ages."""


class SpoolRow(Base):
    """The spool that this database belongs to: one row, the identity that stands in the spool's marker file."""

    __tablename__ = "spool"
    __table_args__ = (CheckConstraint("id = 1", name="one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    identity: Mapped[str] = mapped_column(Id)
    bound_at: Mapped[datetime]


class FileRemovalRow(Base):
    """A file of the spool that is to go, since the rows that named it have said so."""

    __tablename__ = "file_removal"

    file: Mapped[str] = mapped_column(String(128), primary_key=True)
    decided_at: Mapped[datetime]


class AlarmRow(Base):
    """One alarm that stands; its end removes the row, the audit keeps both."""

    __tablename__ = "alarm"

    code: Mapped[str] = mapped_column(Code, primary_key=True)
    subject: Mapped[str] = mapped_column(String(160), primary_key=True)
    reason: Mapped[str] = mapped_column(Code)
    raised_by: Mapped[str] = mapped_column(String(160))
    raised_at: Mapped[datetime]


class SelfTestRow(Base):
    """One constancy self-test of one worker. Its phantoms have no rows: they are nobody's images."""

    __tablename__ = "self_test"
    __table_args__ = (Index("ix_self_test_latest", "worker", "ended_at"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    worker: Mapped[str] = mapped_column(String(128))
    """The host."""
    bundle_hash: Mapped[str] = mapped_column(Digest)
    engine_profile: Mapped[str] = mapped_column(String(64))
    phantoms: Mapped[int]
    deviations: Mapped[list[str]]
    """`<phantom>:<code>`; empty = passed."""
    logit_difference: Mapped[float | None]
    saliency_difference: Mapped[float | None]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    accepted_by: Mapped[str | None] = mapped_column(String(160))
    """The operator who lets analyses go on in spite of deviations."""


class ReconciliationRow(Base):
    """A PACS was asked what it holds, and compared with what is known here."""

    __tablename__ = "reconciliation"
    __table_args__ = (Index("ix_reconciliation_latest", "destination", "began_at"),)

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    destination: Mapped[str] = mapped_column(String(64))
    actor: Mapped[str] = mapped_column(String(160))
    first_day: Mapped[str] = mapped_column(String(8))
    """YYYYMMDD, of study dates; likewise the last."""
    last_day: Mapped[str] = mapped_column(String(8))
    began_at: Mapped[datetime]
    ended_at: Mapped[datetime]
    studies: Mapped[int]
    knee_series: Mapped[int]
    results: Mapped[int]
    not_received: Mapped[list[str]]
    """Series there with instances that never came here."""
    not_found: Mapped[list[str]]
    """Deliveries of results that the destination said it has, and does not show."""
    complete: Mapped[bool]
    """False: a limit ended it, and there are at least so many."""
    code: Mapped[str | None] = mapped_column(Code)
    """Why it could not be asked to the end."""


class PhantomStudyRow(Base):
    """A study of nobody, announced before its first image is sent: what comes under its UID is never a patient's."""

    __tablename__ = "phantom_study"
    __table_args__ = (Index("ix_phantom_study_open", "created_at", postgresql_where=_OPEN, sqlite_where=_OPEN),)

    study_instance_uid: Mapped[str] = mapped_column(Uid, primary_key=True)
    actor: Mapped[str] = mapped_column(String(160))
    created_at: Mapped[datetime]
    rejected_at: Mapped[datetime | None]
    """When its results were rejected again, or it was seen that there are none."""
