"""Retention by age: when which batch goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.config import RetentionSettings
from gateway.events import Event, log_event
from gateway.store.orphans import Orphans, shard_at
from gateway.store.purging import Purging

_BATCH: Final = 100
"""Rows in one transaction: a few milliseconds, for which intake waits on SQLite."""
_BATCHES: Final = 20
"""Of each kind in one tick: 2,000 a minute is more than any sender brings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """One tick purges what is old enough, in bounded batches; what is left waits for the next."""

    settings: RetentionSettings
    purging: Purging

    def purge(self) -> None:
        self.purging.finish()
        for what, days, batch in (
            ("images", self.settings.images_days, self.purging.images),
            ("results", self.settings.results_days, self.purging.results),
            ("jobs", self.settings.jobs_days, self.purging.jobs),
        ):
            count = _in_batches(batch, datetime.now(UTC) - timedelta(days=days)) if days else 0
            if count:
                log_event(Event.RETENTION_PURGED, code=what, count=count)


def _in_batches(batch: Callable[..., int], before: datetime) -> int:
    total = 0
    for _ in range(_BATCHES):
        count = batch(before, limit=_BATCH)
        total += count
        if count < _BATCH:
            break
    return total


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanSearch:
    """One folder a tick: the one whose turn it is by the time."""

    orphans: Orphans
    clock: Callable[[], float] = time.time

    def look(self) -> None:
        count = self.orphans.clear_shard(shard_at(self.clock()))
        if count:
            log_event(Event.RETENTION_PURGED, code="orphans", count=count)
