"""On PostgreSQL every job that begins to wait is told to who listens, whoever wrote its row. SQLite has no such thing."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute(
        """
        CREATE FUNCTION job_waits() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          PERFORM pg_notify('strnet_job', NEW.kind);
          RETURN NULL;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER job_waits AFTER INSERT OR UPDATE OF state, next_at ON job
        FOR EACH ROW WHEN (NEW.state IN ('queued', 'retry')) EXECUTE FUNCTION job_waits()
        """
    )


def downgrade() -> None:
    raise RuntimeError("going back means restoring the backup that was made before the upgrade")
