"""One assessment per knee, also for a knee that the network was not asked about; what was measured of it is kept."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_FROM_THE_NETWORK: tuple[tuple[str, sa.types.TypeEngine[Any]], ...] = (
    ("logit", sa.Double()),
    ("score", sa.Double()),
    ("threshold", sa.Double()),
    ("saliency_file", sa.String(length=128)),
    ("saliency_digest", sa.String(length=64)),
    ("engine_profile", sa.String(length=64)),
)
_WHOLE_READING = (
    "(decision IN ('flagged', 'not_flagged')) = (logit IS NOT NULL AND score IS NOT NULL AND threshold IS NOT NULL"
    " AND saliency_file IS NOT NULL AND saliency_digest IS NOT NULL AND engine_profile IS NOT NULL)"
)


def upgrade() -> None:
    with op.batch_alter_table("assessment") as table:
        for name, kind in _FROM_THE_NETWORK:
            table.alter_column(name, existing_type=kind, nullable=True)
        table.add_column(sa.Column("measures", sa.JSON(), nullable=False, server_default="{}"))
        table.add_column(sa.Column("pixel_notes", sa.JSON(), nullable=False, server_default="[]"))
        table.create_check_constraint("reading", _WHOLE_READING)
    with op.batch_alter_table("assessment") as table:
        table.alter_column("measures", existing_type=sa.JSON(), server_default=None)
        table.alter_column("pixel_notes", existing_type=sa.JSON(), server_default=None)


def downgrade() -> None:
    raise RuntimeError("going back means restoring the backup that was made before the upgrade")
