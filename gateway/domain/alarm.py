"""Alarms: what stands against normal work until it is over, by code and by what it concerns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AlarmCode(StrEnum):
    """docs/alarms.md says of each what its subject is, when it ends, and what to do."""

    DISK_LOW = "disk_low"
    DESTINATION_SILENT = "destination_silent"
    OLDEST_JOB = "oldest_job"
    LEASE_EXPIRIES = "lease_expiries"
    CRASH_LOOP = "crash_loop"
    CONFIGURATION_REFUSED = "configuration_refused"
    SPOOL_NOT_SHARED = "spool_not_shared"
    CLOCK = "clock"
    CONSTANCY = "constancy"
    RESULTS_MISSING = "results_missing"
    IDENTITY_CONTESTED = "identity_contested"
    CORRECTION_FAILED = "correction_failed"
    BUNDLE_IN_SHADOW = "bundle_in_shadow"
    MANY_CORRECTIONS = "many_corrections"
    DELIVERIES_DEAD = "deliveries_dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One that stands. subject: what it concerns, a configured name, a host, a role or a kind of job; never anything of a patient.

    reason: a code that tells more, or empty.
    """

    code: AlarmCode
    subject: str
    reason: str
    raised_by: str
    raised_at: datetime
