"""Jobs, and what their analyses found."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from gateway.store.tables.base import Base, Code, Digest, Id, Serial, Uid


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

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(24))
    subject: Mapped[str] = mapped_column(Uid)
    """analyze_instance: instance id; report_study: study instance UID; deliver_result and confirm_delivery: delivery id; reject_report:
    the report's assessment set."""
    lane: Mapped[str | None] = mapped_column(String(64))
    """The destination that the job is for: each has lanes of its own. None for the worker's jobs."""
    study_instance_uid: Mapped[str] = mapped_column(Uid)
    bundle_hash: Mapped[str | None] = mapped_column(Digest)
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
    last_code: Mapped[str | None] = mapped_column(Code)


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

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    instance_id: Mapped[str] = mapped_column(Id, ForeignKey("instance.id"))
    study_instance_uid: Mapped[str] = mapped_column(Uid, index=True)
    position: Mapped[int]
    laterality: Mapped[str] = mapped_column(String(1))
    laterality_source: Mapped[str] = mapped_column(String(16))
    decision: Mapped[str] = mapped_column(Code)
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
    saliency_digest: Mapped[str | None] = mapped_column(Digest)
    saliency_purged_at: Mapped[datetime | None]
    preprocessed_digest: Mapped[str] = mapped_column(Digest)
    pixel_digest: Mapped[str] = mapped_column(Digest)
    engine_profile: Mapped[str | None] = mapped_column(String(64))
    bundle_hash: Mapped[str] = mapped_column(Digest)
    shaping_hash: Mapped[str] = mapped_column(Digest)
    started_at: Mapped[datetime]
    """First claim of the analysis job: the time that results show."""
    created_at: Mapped[datetime]
