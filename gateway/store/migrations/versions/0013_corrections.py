"""Cases of corrections that came in, and whether an image says that its patient's identity was removed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("instance", sa.Column("identity_removed", sa.Boolean(), nullable=True))
    op.create_table(
        "audit_case",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=48), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_by", sa.String(length=160), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_case"),
    )
    op.create_index("ix_audit_case_opened_at", "audit_case", ["opened_at"])
    op.create_table(
        "correction",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=48), nullable=False),
        sa.Column("cause_instance_id", sa.String(length=32), nullable=True),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=True),
        sa.Column("instance_id", sa.String(length=32), nullable=True),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["audit_case.id"], name="fk_correction_case_id"),
        sa.ForeignKeyConstraint(["cause_instance_id"], ["instance.id"], name="fk_correction_cause_instance_id"),
        sa.ForeignKeyConstraint(["instance_id"], ["instance.id"], name="fk_correction_instance_id"),
        sa.PrimaryKeyConstraint("id", name="pk_correction"),
    )
    for column in ("case_id", "sop_instance_uid", "instance_id", "study_instance_uid", "noted_at"):
        op.create_index(f"ix_correction_{column}", "correction", [column])


def downgrade() -> None:
    raise RuntimeError("going back means restoring the backup that was made before the upgrade")
