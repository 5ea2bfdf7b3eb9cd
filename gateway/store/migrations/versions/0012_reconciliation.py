"""What a PACS was compared with, and studies of nobody that `check` sends."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_OPEN = sa.text("rejected_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "reconciliation",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("destination", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=160), nullable=False),
        sa.Column("first_day", sa.String(length=8), nullable=False),
        sa.Column("last_day", sa.String(length=8), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("studies", sa.Integer(), nullable=False),
        sa.Column("knee_series", sa.Integer(), nullable=False),
        sa.Column("results", sa.Integer(), nullable=False),
        sa.Column("not_received", sa.JSON(), nullable=False),
        sa.Column("not_found", sa.JSON(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("code", sa.String(length=48), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_reconciliation"),
    )
    op.create_index("ix_reconciliation_latest", "reconciliation", ["destination", "began_at"])
    op.create_table(
        "phantom_study",
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=160), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rejected_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("study_instance_uid", name="pk_phantom_study"),
    )
    op.create_index("ix_phantom_study_open", "phantom_study", ["created_at"], postgresql_where=_OPEN, sqlite_where=_OPEN)


def downgrade() -> None:
    raise RuntimeError("going back means restoring the backup that was made before the upgrade")
