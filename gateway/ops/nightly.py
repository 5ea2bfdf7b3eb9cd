"""When the nightly reconciliation of a destination is due, and its end with its process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from gateway.config import ReconcileSettings
from gateway.delivery.query_scu import QueryScu
from gateway.domain.reconciliation import Period
from gateway.errors import ContextRefusedError
from gateway.ops.reconcile import Reconciliation
from gateway.store.reconciliations import EarlierRun

_OPEN_FOR: Final = timedelta(hours=6)
"""A gateway that was down at the hour still asks in the same night; one that starts at noon waits: `days` reach back."""
_AGAIN_AFTER: Final = timedelta(minutes=30)
"""One that failed is tried again in the same night."""


def period_until(now: datetime, *, days: int, timezone: str) -> Period:
    """The last `days` days before today, and today."""
    today = now.astimezone(ZoneInfo(timezone)).date()
    return Period(first=today - timedelta(days=days), last=today)


def is_due(settings: ReconcileSettings, timezone: str, now: datetime, latest: EarlierRun | None) -> bool:
    """Pure. latest: the newest comparison with this destination, by whomever."""
    if settings.at is None:
        return False
    local = now.astimezone(ZoneInfo(timezone))
    began = local.replace(hour=settings.at.hour, minute=settings.at.minute, second=0, microsecond=0)
    if local < began:
        began -= timedelta(days=1)
    if local - began >= _OPEN_FOR:
        return False
    if latest is None or latest.began_at < began:
        return True
    # one that answers no C-FIND at all will not in half an hour either
    passing = latest.code is not None and latest.code != ContextRefusedError.code
    return passing and now - latest.began_at >= _AGAIN_AFTER


@dataclass(slots=True, kw_only=True)
class NightlyReconciliation:
    """A timer's: `look` by its thread, `stop` from any other."""

    reconciliation: Reconciliation
    new_scu: Callable[[], QueryScu]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _stopped: bool = field(default=False, init=False)
    _scu: QueryScu | None = field(default=None, init=False)

    def look(self) -> None:
        settings, now = self.reconciliation.settings, self.now()
        latest = self.reconciliation.store.latest(self.reconciliation.destination)
        if not is_due(settings.reconcile, settings.results.timezone, now, latest):
            return
        with self._lock:
            if self._stopped:
                return
            scu = self._scu = self.new_scu()
        self.reconciliation.run(scu, period_until(now, days=settings.reconcile.days, timezone=settings.results.timezone))

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self._scu is not None:
                self._scu.stop()
