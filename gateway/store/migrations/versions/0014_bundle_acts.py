"""What people do with bundles. A bundle that nobody has promoted is in shadow, also one that an older release called live."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_LIVE = sa.text("state = 'live'")


def upgrade() -> None:
    op.add_column("bundle_version", sa.Column("live_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("bundle_version", sa.Column("live_until", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE bundle_version SET state = 'shadow' WHERE state = 'live'")
    op.create_index("uq_bundle_version_live", "bundle_version", ["state"], unique=True, postgresql_where=_LIVE, sqlite_where=_LIVE)
    op.create_table(
        "bundle_act",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("action", sa.String(length=12), nullable=False),
        sa.Column("bundle_hash", sa.String(length=64), nullable=False),
        sa.Column("former_hash", sa.String(length=64), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(length=160), nullable=False),
        sa.Column("second", sa.String(length=160), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("evidence_sha256", sa.String(length=64), nullable=True),
        sa.Column("evidence", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(["bundle_hash"], ["bundle_version.bundle_hash"], name="fk_bundle_act_bundle_hash"),
        sa.PrimaryKeyConstraint("id", name="pk_bundle_act"),
    )
    op.create_index("ix_bundle_act_bundle_hash", "bundle_act", ["bundle_hash"])


def downgrade() -> None:
    raise RuntimeError("going back means restoring the backup that was made before the upgrade")
