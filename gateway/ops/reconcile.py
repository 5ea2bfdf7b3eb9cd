"""Reconciliation: what a PACS holds against what is known here, both ways (docs/reconciliation.md).

Knee studies that were never received, and results that the PACS took and does not show. Nothing is changed by it but its own record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import groupby
from typing import Final
from zoneinfo import ZoneInfo

from gateway.config import Settings
from gateway.delivery.query_scu import QueryScu
from gateway.domain.alarm import AlarmCode
from gateway.domain.reconciliation import NotReceived, Period, Reconciled, SeenSeries, SentResult, is_knee_series
from gateway.errors import DestinationError, DrainingError
from gateway.events import Event, log_event
from gateway.store.alarms import Alarms
from gateway.store.reconciliations import Reconciliations

MODALITIES: Final = ("DX", "CR")
_MOST_STUDIES: Final = 2000
"""Of one day and modality."""
_MOST_SERIES: Final = 200
_MOST_INSTANCES: Final = 2000
_MOST_FINDINGS: Final = 10_000
_INDEXED: Final = timedelta(minutes=2)
"""What has just been sent there may not be in its index yet."""

Progress = Callable[[int], None]


@dataclass(slots=True)
class _Seen:
    """What has been found so far."""

    studies: set[str] = field(default_factory=set)
    series: set[str] = field(default_factory=set)
    not_received: list[NotReceived] = field(default_factory=list)
    not_found: list[SentResult] = field(default_factory=list)
    asked: int = 0
    complete: bool = True

    @property
    def full(self) -> bool:
        return len(self.not_received) + len(self.not_found) >= _MOST_FINDINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """One destination's. progress: called with the number of studies and series of results asked about so far."""

    destination: str
    settings: Settings
    store: Reconciliations
    alarms: Alarms
    actor: str
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def run(self, scu: QueryScu, period: Period, progress: Progress = lambda _count: None) -> Reconciled:
        """Asks, and records what came of it. A destination that does not answer is a recorded failure, no exception."""
        began_at, seen, code = self.now(), _Seen(), None
        earlier = self.store.latest(self.destination)
        results = self._results(period, earlier.not_found if earlier else ())
        with closing(scu):
            try:
                self._seen_there(scu, period, seen, progress)
                self._sent_from_here(scu, results, seen, progress)
            except DestinationError as error:
                code = error.code
                self._carry(results, earlier.not_found if earlier else (), seen)
        found = Reconciled(
            destination=self.destination,
            period=period,
            studies=len(seen.studies),
            knee_series=len(seen.series),
            results=seen.asked,
            not_received=tuple(seen.not_received),
            not_found=tuple(seen.not_found),
            complete=seen.complete and code is None,
            code=code,
        )
        if code != DrainingError.code:
            self.store.add(found, began_at=began_at, actor=self.actor)
            self._tell(found)
        return found

    def _seen_there(self, scu: QueryScu, period: Period, seen: _Seen, progress: Progress) -> None:
        for day in period.days():
            for modality in MODALITIES:
                studies = scu.studies(day, modality, most=_MOST_STUDIES)
                seen.complete &= studies.complete
                for study in studies.found:
                    if study.may_be_plain and study.study_instance_uid not in seen.studies:
                        seen.studies.add(study.study_instance_uid)
                        self._look_at_study(scu, study.study_instance_uid, seen)
                        progress(len(seen.studies))
                    if seen.full:
                        seen.complete = False
                        return

    def _look_at_study(self, scu: QueryScu, study_instance_uid: str, seen: _Seen) -> None:
        series = scu.series(study_instance_uid, most=_MOST_SERIES)
        seen.complete &= series.complete
        for one in series.found:
            if is_knee_series(one, self.settings.eligibility.knee_texts):
                seen.series.add(one.series_instance_uid)
                self._look_at_series(scu, one, seen)

    def _look_at_series(self, scu: QueryScu, series: SeenSeries, seen: _Seen) -> None:
        there = scu.instances(series.study_instance_uid, series.series_instance_uid, most=_MOST_INSTANCES)
        seen.complete &= there.complete
        known = self.store.known(there.found)
        missing = tuple(uid for uid in there.found if uid not in known)
        if missing:
            seen.not_received.append(
                NotReceived(
                    study_instance_uid=series.study_instance_uid, series_instance_uid=series.series_instance_uid, sop_instance_uids=missing
                )
            )

    def _results(self, period: Period, besides: tuple[str, ...]) -> tuple[SentResult, ...]:
        zone = ZoneInfo(self.settings.results.timezone)
        since = datetime.combine(period.first, time(), zone)
        before = min(datetime.combine(period.last + timedelta(days=1), time(), zone), self.now() - _INDEXED)
        return self.store.arrived(self.destination, since=since, before=before, besides=besides)

    def _sent_from_here(self, scu: QueryScu, results: tuple[SentResult, ...], seen: _Seen, progress: Progress) -> None:
        for (study, series), group in _by_series(results):
            there = scu.instances(study, series, most=_MOST_INSTANCES)
            seen.asked += len(group)
            if there.complete:
                seen.not_found += [result for result in group if result.sop_instance_uid not in there.found]
            seen.complete &= there.complete
            progress(len(seen.studies) + seen.asked)
            if seen.full:
                seen.complete = False
                return

    @staticmethod
    def _carry(results: tuple[SentResult, ...], besides: tuple[str, ...], seen: _Seen) -> None:
        """What was missing before, and was not asked about again, still is for all that is known."""
        told = {result.delivery_id for result in seen.not_found}
        seen.not_found += [result for result in results if result.delivery_id in besides and result.delivery_id not in told]

    def _tell(self, found: Reconciled) -> None:
        missing = bool(found.not_found)
        if missing or found.complete:
            self.alarms.set(AlarmCode.RESULTS_MISSING, self.destination, stands=missing, reason="not_found" if missing else "")
        event = Event.RECONCILE_DONE if found.code is None else Event.RECONCILE_FAILED
        log_event(
            event,
            level="info" if found.is_good else "warning",
            destination=self.destination,
            count=found.studies,
            code=found.code,
        )


def _by_series(results: tuple[SentResult, ...]) -> Iterator[tuple[tuple[str, str], list[SentResult]]]:
    def place(result: SentResult) -> tuple[str, str]:
        return result.study_instance_uid, result.series_instance_uid

    for key, group in groupby(sorted(results, key=place), key=place):
        yield key, list(group)
