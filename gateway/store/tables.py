"""The records of the audit store (docs/architecture.md, "Records") as typed tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

_Id = String(32)
_Uid = String(64)
_Digest = String(64)
_Code = String(48)
_REFUSED = text("event IN ('association:rejected', 'tls:refused', 'connection:refused', 'connection:cut')")
_KEPT = text("purged_at IS NULL")
_Serial = BigInteger().with_variant(Integer(), "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in code; `timestamptz` on PostgreSQL, naive UTC on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime(), dict[str, Any]: JSON(), list[str]: JSON(), list[list[str]]: JSON()}  # noqa: RUF012  SQLAlchemy's own


class AssociationRow(Base):
    __tablename__ = "association"
    __table_args__ = (
        Index("ix_association_open", "owner", postgresql_where=text("ended_at IS NULL"), sqlite_where=text("ended_at IS NULL")),
    )

    id: Mapped[str] = mapped_column(_Id, primary_key=True)
    calling_ae_title: Mapped[str] = mapped_column(String(16))
    called_ae_title: Mapped[str] = mapped_column(String(16))
    peer_address: Mapped[str] = mapped_column(String(64))
    way: Mapped[str] = mapped_column(String(16))
    """`c_store` or `ingest`."""
    opened_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ending: Mapped[str | None] = mapped_column(String(16))
    owner: Mapped[str | None] = mapped_column(_Id)
    """The process that holds it (store.process_file); None in rows of releases that did not say."""
    peer: Mapped[str | None] = mapped_column(String(64))
    """The `[[peers]]` table that admitted it; None for `ingest`, and in a development set-up without peers."""
    tls_version: Mapped[str | None] = mapped_column(String(16))
    """None = plain DICOM."""
    certificate_sha256: Mapped[str | None] = mapped_column(_Digest)


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

    id: Mapped[str] = mapped_column(_Id, primary_key=True)
    sop_class_uid: Mapped[str] = mapped_column(_Uid)
    sop_instance_uid: Mapped[str] = mapped_column(_Uid)
    series_instance_uid: Mapped[str] = mapped_column(_Uid, index=True)
    study_instance_uid: Mapped[str] = mapped_column(_Uid)
    accession_number: Mapped[str] = mapped_column(Text)
    patient_id: Mapped[str] = mapped_column(Text)
    issuer_of_patient_id: Mapped[str] = mapped_column(Text)
    modality: Mapped[str] = mapped_column(Text)
    manufacturer: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    station: Mapped[str] = mapped_column(Text)
    study_date: Mapped[str] = mapped_column(Text)
    transfer_syntax_uid: Mapped[str] = mapped_column(_Uid)
    dataset_digest: Mapped[str] = mapped_column(_Digest)
    pixel_digest: Mapped[str | None] = mapped_column(_Digest, index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    file: Mapped[str] = mapped_column(String(128))
    first_association_id: Mapped[str | None] = mapped_column(_Id, ForeignKey("association.id"))
    received_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(16))
    outcome: Mapped[str | None] = mapped_column(_Code)
    outcome_reason: Mapped[str | None] = mapped_column(Text)
    route: Mapped[str | None] = mapped_column(String(64))
    policy: Mapped[str | None] = mapped_column(String(16))
    """The strictest policy that a decision was made under: what was seen in shadow is never shown later."""
    decided_at: Mapped[datetime | None]
    purged_at: Mapped[datetime | None]
    """Retention has decided that the file goes; all else of the row stays."""


class ReceiptRow(Base):
    __tablename__ = "receipt"
    __table_args__ = (Index("ix_receipt_sop_instance_uid", "sop_instance_uid"), Index("ix_receipt_received_at", "received_at"))

    id: Mapped[str] = mapped_column(_Id, primary_key=True)
    association_id: Mapped[str | None] = mapped_column(_Id, ForeignKey("association.id"))
    instance_id: Mapped[str | None] = mapped_column(_Id, ForeignKey("instance.id"), index=True)
    sop_class_uid: Mapped[str] = mapped_column(Text)
    sop_instance_uid: Mapped[str] = mapped_column(Text)
    transfer_syntax_uid: Mapped[str] = mapped_column(_Uid)
    received_at: Mapped[datetime]
    dimse_status: Mapped[int]
    reason: Mapped[str] = mapped_column(_Code)
    """`stored`, `received_again`, `own_result`, or why it was refused."""


class JobRow(Base):
    __tablename__ = "job"
    __table_args__ = (
        Index(
            "ix_job_claimable",
            "kind",
            "next_at",
            "id",
            postgresql_where=text("state IN ('queued', 'retry')"),
            sqlite_where=text("state IN ('queued', 'retry')"),
        ),
        Index(
            "ix_job_lane",
            "kind",
            "lane",
            "next_at",
            "id",
            postgresql_where=text("state IN ('queued', 'retry')"),
            sqlite_where=text("state IN ('queued', 'retry')"),
        ),
        Index(
            "uq_job_waiting",
            "kind",
            "subject",
            unique=True,
            postgresql_where=text("state IN ('queued', 'retry')"),
            sqlite_where=text("state IN ('queued', 'retry')"),
        ),
        Index("ix_job_running", "lease_until", postgresql_where=text("state = 'running'"), sqlite_where=text("state = 'running'")),
        Index("ix_job_study_instance_uid", "study_instance_uid"),
        Index("ix_job_subject", "subject"),
    )

    id: Mapped[int] = mapped_column(_Serial, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(24))
    subject: Mapped[str] = mapped_column(_Uid)
    """analyze_instance: instance id; report_study: study instance UID; deliver_result and confirm_delivery: delivery id."""
    lane: Mapped[str | None] = mapped_column(String(64))
    """The destination that the job is for: each has lanes of its own. None for the worker's jobs."""
    study_instance_uid: Mapped[str] = mapped_column(_Uid)
    bundle_hash: Mapped[str | None] = mapped_column(_Digest)
    state: Mapped[str] = mapped_column(String(12))
    attempts: Mapped[int] = mapped_column(default=0)
    lease_expiries: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    next_at: Mapped[datetime]
    lease_owner: Mapped[str | None] = mapped_column(String(160))
    lease_until: Mapped[datetime | None]
    first_claimed_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    last_code: Mapped[str | None] = mapped_column(_Code)


class AssessmentRow(Base):
    __tablename__ = "assessment"
    __table_args__ = (
        UniqueConstraint("instance_id", "position", "bundle_hash", "shaping_hash"),
        CheckConstraint(
            "(decision IN ('flagged', 'not_flagged')) = (logit IS NOT NULL AND score IS NOT NULL AND threshold IS NOT NULL"
            " AND saliency_file IS NOT NULL AND saliency_digest IS NOT NULL AND engine_profile IS NOT NULL)",
            name="reading",
        ),
    )

    id: Mapped[str] = mapped_column(_Id, primary_key=True)
    instance_id: Mapped[str] = mapped_column(_Id, ForeignKey("instance.id"))
    study_instance_uid: Mapped[str] = mapped_column(_Uid, index=True)
    position: Mapped[int]
    laterality: Mapped[str] = mapped_column(String(1))
    laterality_source: Mapped[str] = mapped_column(String(16))
    decision: Mapped[str] = mapped_column(_Code)
    logit: Mapped[float | None]
    """None, as all that comes from the network, for a knee that it was not asked about; `decision` says why."""
    score: Mapped[float | None]
    threshold: Mapped[float | None]
    severity_logit: Mapped[float | None]
    severity_score: Mapped[float | None]
    t_score: Mapped[float | None]
    age_years: Mapped[int | None]
    sex: Mapped[str | None] = mapped_column(String(1))
    bmi: Mapped[float | None]
    covariate_source: Mapped[str] = mapped_column(String(16))
    region_left: Mapped[int]
    region_top: Mapped[int]
    region_right: Mapped[int]
    region_bottom: Mapped[int]
    quality_flags: Mapped[list[str]]
    measures: Mapped[dict[str, Any]]
    """Measured value by quality flag; docs/quality.md has their units."""
    pixel_notes: Mapped[list[str]]
    saliency_file: Mapped[str | None] = mapped_column(String(128), index=True)
    saliency_digest: Mapped[str | None] = mapped_column(_Digest)
    saliency_purged_at: Mapped[datetime | None]
    preprocessed_digest: Mapped[str] = mapped_column(_Digest)
    pixel_digest: Mapped[str] = mapped_column(_Digest)
    engine_profile: Mapped[str | None] = mapped_column(String(64))
    bundle_hash: Mapped[str] = mapped_column(_Digest)
    shaping_hash: Mapped[str] = mapped_column(_Digest)
    started_at: Mapped[datetime]
    """First claim of the analysis job: the time that results show."""
    created_at: Mapped[datetime]


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

    id: Mapped[str] = mapped_column(_Id, primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(_Uid)
    assessment_set: Mapped[str] = mapped_column(_Digest, index=True)
    """SHA-256 over everything the result's UIDs are derived from, without the kind."""
    kind: Mapped[str] = mapped_column(String(32))
    sop_class_uid: Mapped[str] = mapped_column(_Uid)
    sop_instance_uid: Mapped[str] = mapped_column(_Uid)
    series_instance_uid: Mapped[str] = mapped_column(_Uid)
    file: Mapped[str] = mapped_column(String(128))
    sha256: Mapped[str] = mapped_column(_Digest)
    release: Mapped[str] = mapped_column(_Code)
    route: Mapped[str] = mapped_column(String(64))
    flagged: Mapped[bool]
    revision: Mapped[int]
    predecessor_uid: Mapped[str | None] = mapped_column(_Uid)
    repeats_uid: Mapped[str | None] = mapped_column(_Uid)
    """`withheld_repeat`: the SR of another study that has told as much of the patient."""
    bundle_hash: Mapped[str] = mapped_column(_Digest)
    config_hash: Mapped[str] = mapped_column(_Digest)
    created_at: Mapped[datetime]
    purged_at: Mapped[datetime | None]
    """As of an instance."""


class ReportRow(Base):
    """What a set of results was made of: from it and the images the same files can be made again."""

    __tablename__ = "report"

    assessment_set: Mapped[str] = mapped_column(_Digest, primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(_Uid, index=True)
    patient_digest: Mapped[str | None] = mapped_column(_Digest, index=True)
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
    __table_args__ = (UniqueConstraint("result_id", "destination"),)

    id: Mapped[str] = mapped_column(_Id, primary_key=True)
    result_id: Mapped[str] = mapped_column(_Id, ForeignKey("result.id"))
    destination: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(default=0)
    last_status: Mapped[int | None]
    last_code: Mapped[str | None] = mapped_column(_Code)
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    committed_at: Mapped[datetime | None]
    transaction_uid: Mapped[str | None] = mapped_column(_Uid)
    """Of the newest storage commitment request; `delivery_attempt` has all of them."""


class DeliveryAttemptRow(Base):
    """One request to a destination for one delivery, and what came of it."""

    __tablename__ = "delivery_attempt"
    __table_args__ = (
        Index("ix_delivery_attempt_delivery_id", "delivery_id", "id"),
        Index("uq_delivery_attempt_transaction_uid", "transaction_uid", unique=True),
    )

    id: Mapped[int] = mapped_column(_Serial, primary_key=True, autoincrement=True)
    delivery_id: Mapped[str] = mapped_column(_Id, ForeignKey("delivery.id"))
    kind: Mapped[str] = mapped_column(String(16))
    """`send`, `commitment` or `find`."""
    actor: Mapped[str] = mapped_column(String(160))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    """None: its answer never came to be known here."""
    code: Mapped[str | None] = mapped_column(_Code)
    dimse_status: Mapped[int | None]
    transaction_uid: Mapped[str | None] = mapped_column(_Uid)
    reported_at: Mapped[datetime | None]
    """When the storage commitment report to it came."""
    failure_reason: Mapped[int | None]
    """Of that report (PS3.3 C.14); None = committed."""


class ConfigVersionRow(Base):
    __tablename__ = "config_version"

    config_hash: Mapped[str] = mapped_column(_Digest, primary_key=True)
    content: Mapped[dict[str, Any]]
    first_used_at: Mapped[datetime]


class SupervisorRow(Base):
    """Changed again and again, unlike what happened: that is in the audit."""

    __tablename__ = "supervisor"

    name: Mapped[str] = mapped_column(String(160), primary_key=True)
    host: Mapped[str] = mapped_column(String(160))
    roles: Mapped[list[str]]
    config_hash: Mapped[str] = mapped_column(_Digest)
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    hindrances: Mapped[list[list[str]]]
    """[cause, subject] each; empty = ready."""


class BundleVersionRow(Base):
    __tablename__ = "bundle_version"

    bundle_hash: Mapped[str] = mapped_column(_Digest, primary_key=True)
    weights_sha256: Mapped[str] = mapped_column(_Digest)
    name: Mapped[str] = mapped_column(Text)
    version: Mapped[str] = mapped_column(String(64))
    intended_use: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(12))
    """draft, shadow, live or retired."""
    first_used_at: Mapped[datetime]


class SpoolRow(Base):
    """The spool that this database belongs to: one row, the identity that stands in the spool's marker file."""

    __tablename__ = "spool"
    __table_args__ = (CheckConstraint("id = 1", name="one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    identity: Mapped[str] = mapped_column(_Id)
    bound_at: Mapped[datetime]


class FileRemovalRow(Base):
    """A file of the spool that is to go, since the rows that named it have said so."""

    __tablename__ = "file_removal"

    file: Mapped[str] = mapped_column(String(128), primary_key=True)
    decided_at: Mapped[datetime]


class AlarmRow(Base):
    """One alarm that stands; its end removes the row, the audit keeps both."""

    __tablename__ = "alarm"

    code: Mapped[str] = mapped_column(_Code, primary_key=True)
    subject: Mapped[str] = mapped_column(String(160), primary_key=True)
    reason: Mapped[str] = mapped_column(_Code)
    raised_by: Mapped[str] = mapped_column(String(160))
    raised_at: Mapped[datetime]


class SelfTestRow(Base):
    """One constancy self-test of one worker. Its phantoms have no rows: they are nobody's images."""

    __tablename__ = "self_test"
    __table_args__ = (Index("ix_self_test_latest", "worker", "ended_at"),)

    id: Mapped[str] = mapped_column(_Id, primary_key=True)
    worker: Mapped[str] = mapped_column(String(128))
    """The host."""
    bundle_hash: Mapped[str] = mapped_column(_Digest)
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


class AuditEventRow(Base):
    """Append-only: triggers of the first migration refuse UPDATE and DELETE."""

    __tablename__ = "audit_event"
    __table_args__ = (
        Index("ix_audit_event_study_instance_uid", "study_instance_uid"),
        Index("ix_audit_event_instance_id", "instance_id"),
        Index("ix_audit_event_refused", "seq", postgresql_where=_REFUSED, sqlite_where=_REFUSED),
    )

    seq: Mapped[int] = mapped_column(_Serial, primary_key=True, autoincrement=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(160))
    event: Mapped[str] = mapped_column(_Code)
    instance_id: Mapped[str | None] = mapped_column(_Id)
    study_instance_uid: Mapped[str | None] = mapped_column(_Uid)
    detail: Mapped[dict[str, Any]]
