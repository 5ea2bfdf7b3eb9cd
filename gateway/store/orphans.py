"""Files that no row names: maps and results of jobs that lost a race, and files of purged rows that a power cut brought back."""

from __future__ import annotations

import time
from pathlib import PurePosixPath
from typing import Any, Final

from sqlalchemy import select

from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.file_removal import removed
from gateway.store.spool import SHARDS, Spool
from gateway.store.spool_binding import bound_identity
from gateway.store.tables import AssessmentRow, InstanceRow, ResultRow

MIN_AGE_SECONDS: Final = 24 * 3600.0
"""A job writes its files before its rows; none takes so long."""
SEARCH_SECONDS: Final = 300.0
"""One folder each time, so all of them in about a day."""
_AT_ONCE: Final = 500


class Orphans:
    """Goes round the spool one folder at a time. Received instances without a row are never touched: the receiver's sweep adopts them."""

    def __init__(self, database: Database, spool: Spool, actor: str) -> None:
        self._database = database
        self._spool = spool
        self._actor = actor

    def clear_shard(self, shard: str) -> int:
        """Removes what nobody names in the folders of one shard, and says how many files.

        Nothing where another spool is mounted: what our records do not name there are another installation's files.
        """
        if self._spool.identity() != bound_identity(self._database):
            return 0
        unnamed = [
            name
            for kind, found in (
                ("saliency", self._unnamed_maps),
                ("result", self._unnamed_results),
                ("instance", self._purged_instances),
                # a self-test has no rows: what one left that was killed
                ("self_test", set),
            )
            for name in found(self._old(kind, shard))
        ]
        gone = removed(self._spool, unnamed)
        if gone:
            with self._database.transaction() as session:
                record(session, Event.RETENTION_PURGED, actor=self._actor, code="orphans", count=len(gone))
        return len(gone)

    def _old(self, kind: str, shard: str) -> list[str]:
        limit = time.time() - MIN_AGE_SECONDS
        return sorted(name for name in self._spool.names(kind, shard) if (self._spool.written_at(name) or limit) < limit)

    def _unnamed_maps(self, names: list[str]) -> set[str]:
        kept = select(AssessmentRow.saliency_file).where(AssessmentRow.saliency_purged_at.is_(None))
        return set(names) - self._found(kept, AssessmentRow.saliency_file, names)

    def _unnamed_results(self, names: list[str]) -> set[str]:
        return set(names) - self._found(select(ResultRow.file).where(ResultRow.purged_at.is_(None)), ResultRow.file, names)

    def _purged_instances(self, names: list[str]) -> set[str]:
        """By the primary key, which is the file's name but for instances that came again."""
        purged = select(InstanceRow.file).where(InstanceRow.purged_at.is_not(None))
        return self._found(purged, InstanceRow.id, [PurePosixPath(name).stem for name in names]) & set(names)

    def _found(self, query: Any, column: Any, keys: list[str]) -> set[str]:
        with self._database.reading() as session:
            return {name for batch in _batched(keys) for name in session.scalars(query.where(column.in_(batch)))}


def _batched(keys: list[str]) -> list[tuple[str, ...]]:
    return [tuple(keys[at : at + _AT_ONCE]) for at in range(0, len(keys), _AT_ONCE)]


def shard_at(seconds: float) -> str:
    """Whose turn it is (seconds since the epoch): by the time, so that a process that is often started anew looks everywhere, too."""
    return SHARDS[int(seconds / SEARCH_SECONDS) % len(SHARDS)]
