"""Results of the constancy self-test."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "self_test",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("worker", sa.String(length=128), nullable=False),
        sa.Column("bundle_hash", sa.String(length=64), nullable=False),
        sa.Column("engine_profile", sa.String(length=64), nullable=False),
        sa.Column("phantoms", sa.Integer(), nullable=False),
        sa.Column("deviations", sa.JSON(), nullable=False),
        sa.Column("logit_difference", sa.Double(), nullable=True),
        sa.Column("saliency_difference", sa.Double(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_by", sa.String(length=160), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_self_test")),
    )
    op.create_index("ix_self_test_latest", "self_test", ["worker", "ended_at"])


def downgrade() -> None:
    raise RuntimeError("going back means restoring the backup that was made before the upgrade")
