"""What the database says lies in the spool, one folder's share at a time: with a million instances too."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import select, update

from gateway.domain.outcome import InstanceOutcome, InstanceState
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.tables import InstanceRow


class Inventory:
    """Rows against files."""

    def __init__(self, database: Database, actor: str) -> None:
        self._database = database
        self._actor = actor

    def of_shard(self, shard: str) -> dict[str, str]:
        """File by instance id of the instances whose id begins so; lost and purged ones are left out. Read by the primary key."""
        with self._database.reading() as session:
            rows = session.execute(
                select(InstanceRow.id, InstanceRow.file).where(
                    # ids are hexadecimal: `g` is after all of them
                    InstanceRow.id.between(shard, f"{shard}g"),
                    InstanceRow.state != InstanceState.LOST,
                    InstanceRow.purged_at.is_(None),
                )
            )
            return {row.id: row.file for row in rows}

    def named(self, files: Iterable[str]) -> set[str]:
        """Those of the files that some row names."""
        with self._database.reading() as session:
            return set(session.scalars(select(InstanceRow.file).where(InstanceRow.file.in_(list(files)))))

    def mark_lost(self, instance_id: str, file: str) -> bool:
        """A row whose file is gone. False when the row has got another file, or was purged, meanwhile."""
        with self._database.transaction() as session:
            marked = session.execute(
                update(InstanceRow)
                .where(InstanceRow.id == instance_id, InstanceRow.file == file, InstanceRow.purged_at.is_(None))
                .values(state=InstanceState.LOST, outcome=InstanceOutcome.LOST, decided_at=datetime.now(UTC))
                .returning(InstanceRow.id)
            ).all()
            if marked:
                record(session, Event.INSTANCE_LOST, actor=self._actor, instance_id=instance_id, code="lost")
            return bool(marked)
