"""What results were made of is kept, so that they can be made again; which result of the patient another one would only repeat."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "report",
        sa.Column("assessment_set", sa.String(length=64), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("assessment_set", name="pk_report"),
    )
    op.create_index("ix_report_study_instance_uid", "report", ["study_instance_uid"])
    op.add_column("result", sa.Column("repeats_uid", sa.String(length=64), nullable=True))
    op.create_index("ix_instance_patient_id", "instance", ["patient_id"])


def downgrade() -> None:
    raise RuntimeError("going back means restoring the backup that was made before the upgrade")
