"""What a watch over the queue asks the database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, cast

from sqlalchemy import case, func, select

from gateway.domain.job import JobKind, JobState
from gateway.store.database import Database
from gateway.store.job_rows import IS_RUNNING, IS_WAITING, LEASE_EXPIRIES
from gateway.store.tables import JobRow

_RUNS_SINCE: Final = case((JobRow.first_claimed_at > JobRow.next_at, JobRow.first_claimed_at), else_=JobRow.next_at)
"""The claim, of a job that was claimed once. Of one claimed again the time for which it had been put back: no claim comes before that."""


class QueueHealth:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def due_since(self) -> dict[JobKind, datetime]:
        """Of each kind that has open jobs: since when the longest-waiting one is due, or the longest-running one runs.

        In the future when all of them wait for a time that has not come.
        """
        oldest: dict[JobKind, datetime] = {}
        # one at a time, each by its own partial index
        moments = ((IS_WAITING, JobRow.next_at), (IS_RUNNING, _RUNS_SINCE))
        with self._database.reading() as session:
            for open_ones, moment in moments:
                for kind, at in session.execute(select(JobRow.kind, func.min(moment)).where(open_ones).group_by(JobRow.kind)):
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
