"""What each supervisor last told of itself: how `status` knows whether the gateway is ready, on several hosts too."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "supervisor",
        sa.Column("name", sa.String(length=160), nullable=False),
        sa.Column("host", sa.String(length=160), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("config_hash", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("hindrances", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_supervisor"),
    )


def downgrade() -> None:
    raise RuntimeError("going back means restoring the backup that was made before the upgrade")
