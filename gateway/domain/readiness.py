"""Why a gateway is not ready: causes by code, and what a supervisor says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from gateway.domain.alarm import Alarm, AlarmCode
from gateway.domain.job import SENDERS_KINDS


class Cause(StrEnum):
    """docs/operations.md says of each what it means and what to do."""

    ROLE_STARTING = "role_starting"
    ROLE_DOWN = "role_down"
    CRASH_LOOP = "crash_loop"
    RECEIVER_NOT_ANSWERING = "receiver_not_answering"
    SPOOL_REFUSES = "spool_refuses"
    DATABASE_DOWN = "database_down"
    DATABASE_BROKEN = "database_broken"
    STALLED_QUEUE = "stalled_queue"
    SPOOL_NOT_SHARED = "spool_not_shared"
    CONSTANCY = "constancy"
    DRAINING = "draining"
    SUPERVISOR_SILENT = "supervisor_silent"
    NO_SUPERVISOR = "no_supervisor"


UNREADY: Final[dict[AlarmCode, Cause | None]] = {
    AlarmCode.DISK_LOW: Cause.SPOOL_REFUSES,
    AlarmCode.DESTINATION_SILENT: None,
    AlarmCode.OLDEST_JOB: Cause.STALLED_QUEUE,
    AlarmCode.LEASE_EXPIRIES: None,
    AlarmCode.CRASH_LOOP: Cause.CRASH_LOOP,
    AlarmCode.CONFIGURATION_REFUSED: None,
    AlarmCode.SPOOL_NOT_SHARED: Cause.SPOOL_NOT_SHARED,
    AlarmCode.CLOCK: None,
    AlarmCode.CONSTANCY: Cause.CONSTANCY,
    AlarmCode.RESULTS_MISSING: None,
    AlarmCode.IDENTITY_CONTESTED: None,
    AlarmCode.CORRECTION_FAILED: None,
    AlarmCode.BUNDLE_IN_SHADOW: None,
    AlarmCode.MANY_CORRECTIONS: None,
    AlarmCode.DELIVERIES_DEAD: None,
}
"""Which standing alarm makes a gateway unready. None: it goes on with its work, and a person should look."""

_ONE_HOST: Final = frozenset({AlarmCode.DISK_LOW, AlarmCode.CRASH_LOOP, AlarmCode.SPOOL_NOT_SHARED, AlarmCode.CONSTANCY})
"""Their subject begins with the host that they concern: another host's supervisor does not become unready by them."""

SILENT_AFTER: Final = timedelta(seconds=30)
"""A supervisor tells of itself every few seconds; one that does not for so long is down, or cannot reach the database."""
FORGOTTEN_AFTER: Final = timedelta(hours=1)
"""A host that was taken away without a clean stop is not missed for ever. Each host's monitoring asks that host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindrance:
    """One reason for not being ready. subject: a role, a kind of job, a host; never anything of a patient."""

    cause: Cause
    subject: str = ""

    def __str__(self) -> str:
        return f"{self.cause} ({self.subject})" if self.subject else str(self.cause)


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorStory:
    """What a supervisor last told. name: host, `supervisor` and process id."""

    name: str
    host: str
    roles: tuple[str, ...]
    config_hash: str
    started_at: datetime
    seen_at: datetime
    hindrances: tuple[Hindrance, ...]

    @property
    def is_ready(self) -> bool:
        return not self.hindrances


def from_alarms(alarms: Sequence[Alarm], host: str) -> tuple[Hindrance, ...]:
    """What the standing alarms mean for a supervisor on this host."""
    found = []
    for alarm in alarms:
        cause = None if _waits_for_destination(alarm) else UNREADY[alarm.code]
        if cause is not None and (alarm.code not in _ONE_HOST or alarm.subject.partition(":")[0] == host):
            found.append(Hindrance(cause=cause, subject=alarm.subject))
    return tuple(found)


def _waits_for_destination(alarm: Alarm) -> bool:
    """A sender's jobs may be due for long because a destination is away, which `destination_silent` tells: the gateway works."""
    return alarm.code is AlarmCode.OLDEST_JOB and alarm.subject in SENDERS_KINDS


def seen_now(story: SupervisorStory, now: datetime) -> tuple[Hindrance, ...]:
    """What stands against a supervisor's work by what it last told, and by how long ago that was."""
    if now - story.seen_at > SILENT_AFTER:
        return (Hindrance(cause=Cause.SUPERVISOR_SILENT, subject=story.host),)
    return story.hindrances


def hindrances_of_all(stories: Sequence[SupervisorStory], now: datetime) -> tuple[Hindrance, ...]:
    """Of a whole installation; one in which nothing runs is not ready."""
    if not stories:
        return (Hindrance(cause=Cause.NO_SUPERVISOR),)
    return tuple(dict.fromkeys(hindrance for story in stories for hindrance in seen_now(story, now)))
