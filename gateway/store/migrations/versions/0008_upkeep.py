"""Alarms that stand; the one spool of a database; what retention has purged, and the files that are to go."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alarm",
        sa.Column("code", sa.String(length=48), nullable=False),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("reason", sa.String(length=48), nullable=False),
        sa.Column("raised_by", sa.String(length=160), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("code", "subject", name="pk_alarm"),
    )
    op.create_table(
        "spool",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("identity", sa.String(length=32), nullable=False),
        sa.Column("bound_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_spool_one"),
        sa.PrimaryKeyConstraint("id", name="pk_spool"),
    )
    op.create_table(
        "file_removal",
        sa.Column("file", sa.String(length=128), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("file", name="pk_file_removal"),
    )
    op.add_column("instance", sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("assessment", sa.Column("saliency_purged_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("result", sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True))
    kept = sa.text("purged_at IS NULL")
    op.create_index("ix_instance_kept", "instance", ["received_at"], postgresql_where=kept, sqlite_where=kept)
    op.create_index("ix_result_kept", "result", ["created_at"], postgresql_where=kept, sqlite_where=kept)
    op.create_index("ix_assessment_saliency_file", "assessment", ["saliency_file"])
    op.create_index("ix_result_file", "result", ["file"])


def downgrade() -> None:
    raise RuntimeError("going back means restoring the backup that was made before the upgrade")
