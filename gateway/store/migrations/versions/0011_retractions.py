"""Reports that were taken back, and studies of which nothing new is sent until a person says so."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("result", sa.Column("retracted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("result", sa.Column("rejection_reason", sa.String(length=16), nullable=True))
    op.create_table(
        "recalled_study",
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("recalled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recalled_by", sa.String(length=160), nullable=False),
        sa.PrimaryKeyConstraint("study_instance_uid", name=op.f("pk_recalled_study")),
    )


def downgrade() -> None:
    raise RuntimeError("going back means restoring the backup that was made before the upgrade")
