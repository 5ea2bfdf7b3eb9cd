"""Dead deliveries are found without reading all of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_DEAD = sa.text("state = 'dead'")


def upgrade() -> None:
    op.create_index("ix_delivery_dead", "delivery", ["destination"], postgresql_where=_DEAD, sqlite_where=_DEAD)


def downgrade() -> None:
    raise RuntimeError("going back means restoring the backup that was made before the upgrade")
