"""An association names the process that holds it, so that those of dead processes can be told from open ones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("association", sa.Column("owner", sa.String(length=32), nullable=True))
    is_open = sa.text("ended_at IS NULL")
    op.create_index("ix_association_open", "association", ["owner"], postgresql_where=is_open, sqlite_where=is_open)


def downgrade() -> None:
    raise RuntimeError("going back means restoring the backup that was made before the upgrade")
