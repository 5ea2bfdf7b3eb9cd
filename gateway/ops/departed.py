"""Alarms whose subject is no more: nobody is left who would see that their cause has gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from gateway.domain.alarm import AlarmCode
from gateway.domain.readiness import FORGOTTEN_AFTER
from gateway.store.alarms import Alarms

_OF_HOSTS: Final = frozenset(
    {
        AlarmCode.DISK_LOW,
        AlarmCode.SPOOL_NOT_SHARED,
        AlarmCode.CLOCK,
        AlarmCode.CONSTANCY,
        AlarmCode.CRASH_LOOP,
        AlarmCode.CONFIGURATION_REFUSED,
        AlarmCode.BUNDLE_IN_SHADOW,
    }
)
"""Their subject begins with the host."""


@dataclass(slots=True, kw_only=True)
class DepartedHosts:
    """Ends the alarms of hosts that no supervisor has told of for `FORGOTTEN_AFTER`, as far as this leader has seen."""

    alarms: Alarms
    hosts: Callable[[], Iterable[str]]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _missed_since: dict[str, datetime] = field(default_factory=dict, init=False)

    def look(self) -> None:
        now, present = self.now(), set(self.hosts())
        concerned = [(alarm, alarm.subject.partition(":")[0]) for alarm in self.alarms.standing() if alarm.code in _OF_HOSTS]
        missing = {host for _, host in concerned} - present
        self._missed_since = {host: self._missed_since.get(host, now) for host in missing}
        for alarm, host in concerned:
            if host in missing and now - self._missed_since[host] >= FORGOTTEN_AFTER:
                self.alarms.clear(alarm.code, alarm.subject)


@dataclass(frozen=True, slots=True, kw_only=True)
class DepartedDestinations:
    """Ends `destination_silent` of destinations that are not asked any more, and `results_missing` of those that are configured no more."""

    alarms: Alarms
    asked: frozenset[str]
    configured: frozenset[str]

    def look(self) -> None:
        kept = {AlarmCode.DESTINATION_SILENT: self.asked, AlarmCode.RESULTS_MISSING: self.configured}
        for alarm in self.alarms.standing():
            if alarm.code in kept and alarm.subject not in kept[alarm.code]:
                self.alarms.clear(alarm.code, alarm.subject)
