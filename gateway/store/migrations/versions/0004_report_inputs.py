"""What results were made of and have told is kept; a study has each revision once; instances keep the policy they were seen under."""

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
        sa.Column("patient_digest", sa.String(length=64), nullable=True),
        sa.Column("study_date", sa.String(length=8), nullable=False),
        sa.Column("policy", sa.String(length=16), nullable=False),
        sa.Column("routes", sa.JSON(), nullable=False),
        sa.Column("told", sa.JSON(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("assessment_set", name="pk_report"),
    )
    op.create_index("ix_report_study_instance_uid", "report", ["study_instance_uid"])
    op.create_index("ix_report_patient_digest", "report", ["patient_digest"])
    op.add_column("result", sa.Column("repeats_uid", sa.String(length=64), nullable=True))
    op.create_index("uq_result_revision", "result", ["study_instance_uid", "kind", "revision"], unique=True)
    op.add_column("assessment", sa.Column("bmi", sa.Double(), nullable=True))
    op.add_column("instance", sa.Column("policy", sa.String(length=16), nullable=True))


def downgrade() -> None:
    raise RuntimeError("going back means restoring the backup that was made before the upgrade")
