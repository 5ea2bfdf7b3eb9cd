"""Who sent: the admitting peer and the TLS identity of an association; indexes for what was received and what was refused."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_REFUSED = sa.text("event IN ('association:rejected', 'tls:refused', 'connection:refused', 'connection:cut')")


def upgrade() -> None:
    op.add_column("association", sa.Column("peer", sa.String(length=64), nullable=True))
    op.add_column("association", sa.Column("tls_version", sa.String(length=16), nullable=True))
    op.add_column("association", sa.Column("certificate_sha256", sa.String(length=64), nullable=True))
    op.create_index("ix_receipt_received_at", "receipt", ["received_at"])
    op.create_index("ix_audit_event_refused", "audit_event", ["seq"], postgresql_where=_REFUSED, sqlite_where=_REFUSED)


def downgrade() -> None:
    raise RuntimeError("going back means restoring the backup that was made before the upgrade")
