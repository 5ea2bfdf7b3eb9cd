"""What timers look at to raise and clear alarms. Each look decides anew from what it sees, so a missed one costs time and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from gateway.config import DestinationSettings, SpoolSettings
from gateway.domain.alarm import AlarmCode
from gateway.domain.correction import MANY, MANY_WITHIN
from gateway.domain.job import JobKind
from gateway.store.alarms import Alarms
from gateway.store.correction_figures import CorrectionFigures
from gateway.store.deliveries import Deliveries
from gateway.store.queue_health import QueueHealth
from gateway.store.spool import Obstacle, Spool

_MEBIBYTE: Final = 1024 * 1024
_SILENT_TIMES: Final = 2
"""One unanswered C-ECHO is a moment's trouble; deliveries repeat by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskWatch:
    """The alarm is raised below the reserve and cleared above reserve and margin, as associations are refused and accepted again."""

    spool: Spool
    settings: SpoolSettings
    alarms: Alarms
    host: str

    def look(self) -> None:
        reserve = self.settings.reserve_mb * _MEBIBYTE
        obstacle = self.spool.obstacle(reserve)
        if obstacle is not None:
            self.alarms.raise_(AlarmCode.DISK_LOW, self.host, reason=obstacle.value)
        elif self.spool.obstacle(reserve + self.settings.resume_margin_mb * _MEBIBYTE) is None:
            self.alarms.clear(AlarmCode.DISK_LOW, self.host)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolWatch:
    """Whether the mount at `spool.folder` is still the spool that the database belongs to."""

    spool: Spool
    expected: Callable[[], str | None]
    alarms: Alarms
    host: str

    def look(self) -> None:
        found, expected = self.spool.identity(), self.expected()
        reason = "" if found is not None else Obstacle.UNREACHABLE.value
        self.alarms.set(AlarmCode.SPOOL_NOT_SHARED, self.host, stands=expected is not None and found != expected, reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueWatch:
    """Jobs that are due or run for too long, and jobs whose processes vanished too often. One that waits for its time is healthy."""

    health: QueueHealth
    alarms: Alarms
    oldest_job_minutes: float
    """0 = an old job is no alarm."""

    def look(self) -> None:
        due, now = self.health.due_since(), datetime.now(UTC)
        held = self.health.held_by_expiries()
        for kind in JobKind:
            minutes = (now - due[kind]).total_seconds() / 60 if kind in due else 0.0
            self.alarms.set(AlarmCode.OLDEST_JOB, kind, stands=0 < self.oldest_job_minutes < minutes)
            self.alarms.set(AlarmCode.LEASE_EXPIRIES, kind, stands=kind in held)


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionWatch:
    """Senders that take back more than a day's mistakes. What they ask for is done all the same: a person looks whether it is right."""

    figures: CorrectionFigures
    alarms: Alarms
    many: int = MANY

    def look(self) -> None:
        found = self.figures.taken_back_by(datetime.now(UTC) - MANY_WITHIN, at_least=self.many)
        standing = (alarm.subject for alarm in self.alarms.standing() if alarm.code is AlarmCode.MANY_CORRECTIONS)
        for sender in sorted({*found, *standing}):
            self.alarms.set(AlarmCode.MANY_CORRECTIONS, sender, stands=sender in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryWatch:
    """Destinations that some result will not reach unless a person does something: until it is released, tried again or cancelled."""

    deliveries: Deliveries
    alarms: Alarms

    def look(self) -> None:
        dead = self.deliveries.destinations_with_dead()
        standing = (alarm.subject for alarm in self.alarms.standing() if alarm.code is AlarmCode.DELIVERIES_DEAD)
        for destination in sorted({*dead, *standing}):
            self.alarms.set(AlarmCode.DELIVERIES_DEAD, destination, stands=destination in dead)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockWatch:
    """Leases are given and taken back by each host's own clock, so hosts must agree with the database's, and by that with each other."""

    health: QueueHealth
    alarms: Alarms
    host: str
    allowed_seconds: float

    def look(self) -> None:
        seconds = self.health.clock_ahead_seconds()
        reason = "ahead" if seconds > 0 else "behind"
        self.alarms.set(AlarmCode.CLOCK, self.host, stands=abs(seconds) > self.allowed_seconds, reason=reason)


@dataclass(slots=True, kw_only=True)
class DestinationWatch:
    """A destination's sign of life. silence: asks it once, None when it answered, else a code."""

    destination: DestinationSettings
    silence: Callable[[DestinationSettings], str | None]
    alarms: Alarms
    _silent: int = field(default=0, init=False)

    def look(self) -> None:
        code = self.silence(self.destination)
        self._silent = 0 if code is None else self._silent + 1
        if code is None:
            self.alarms.clear(AlarmCode.DESTINATION_SILENT, self.destination.name)
        elif self._silent >= _SILENT_TIMES:
            self.alarms.raise_(AlarmCode.DESTINATION_SILENT, self.destination.name, reason=code)
