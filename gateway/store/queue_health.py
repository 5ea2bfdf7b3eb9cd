"""What a watch over the queue asks the database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from sqlalchemy import func, select

from gateway.domain.job import JobKind, JobState
from gateway.store.database import Database
from gateway.store.job_rows import IS_RUNNING, IS_WAITING, LEASE_EXPIRIES
from gateway.store.tables import JobRow


class QueueHealth:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def oldest_open(self) -> dict[JobKind, datetime]:
        """When the oldest job of each kind that waits or runs was made."""
        oldest: dict[JobKind, datetime] = {}
        with self._database.reading() as session:
            # one at a time, each by its own partial index
            for open_ones in (IS_WAITING, IS_RUNNING):
                for kind, at in session.execute(select(JobRow.kind, func.min(JobRow.created_at)).where(open_ones).group_by(JobRow.kind)):
                    oldest[JobKind(kind)] = min(at, oldest.get(JobKind(kind), at))
        return oldest

    def held_by_expiries(self) -> set[JobKind]:
        query = select(JobRow.kind).where(JobRow.state == JobState.HELD, JobRow.last_code == LEASE_EXPIRIES).distinct()
        with self._database.reading() as session:
            return {JobKind(kind) for kind in session.scalars(query)}

    def clock_ahead_seconds(self) -> float:
        """How far this host's clock is ahead of the database's; 0 on SQLite, which has none of its own."""
        if self._database.dialect != "postgresql":
            return 0.0
        with self._database.reading() as session:
            before = datetime.now(UTC)
            theirs = cast("datetime", session.scalar(select(func.clock_timestamp())))
            after = datetime.now(UTC)
        # asked somewhere between the two
        return (before + (after - before) / 2 - theirs).total_seconds()
