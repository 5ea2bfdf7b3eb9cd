"""A row per request to a destination, and the destination on its jobs: each has lanes of its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_WAITING = sa.text("state IN ('queued', 'retry')")


def upgrade() -> None:
    op.add_column("job", sa.Column("lane", sa.String(length=64), nullable=True))
    op.execute("UPDATE job SET lane = (SELECT destination FROM delivery WHERE delivery.id = job.subject) WHERE kind = 'deliver_result'")
    op.create_index("ix_job_lane", "job", ["kind", "lane", "next_at", "id"], postgresql_where=_WAITING, sqlite_where=_WAITING)
    op.create_table(
        "delivery_attempt",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("delivery_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=160), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("code", sa.String(length=48), nullable=True),
        sa.Column("dimse_status", sa.Integer(), nullable=True),
        sa.Column("transaction_uid", sa.String(length=64), nullable=True),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure_reason", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.id"], name="fk_delivery_attempt_delivery_id"),
        sa.PrimaryKeyConstraint("id", name="pk_delivery_attempt"),
    )
    op.create_index("ix_delivery_attempt_delivery_id", "delivery_attempt", ["delivery_id", "id"])
    op.create_index("uq_delivery_attempt_transaction_uid", "delivery_attempt", ["transaction_uid"], unique=True)


def downgrade() -> None:
    raise RuntimeError("going back means restoring the backup that was made before the upgrade")
