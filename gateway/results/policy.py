"""What may be sent. Pure: values in, values out."""

from __future__ import annotations

from datetime import datetime, timedelta

from gateway.domain.finding import StudyReport
from gateway.domain.outcome import Policy, Release


def release_for(
    policy: Policy,
    report: StudyReport,
    *,
    study_time: datetime | None,
    now: datetime,
    late_after_hours: float,
    report_not_assessed: bool,
    has_destination: bool,
    is_live: bool,
    repeats: bool,
    ingested: bool = False,
) -> Release:
    """The first reason to withhold the result, in the order of the table, or SENT. Both times are aware.

    is_live: the bundle may send to one of the destinations (ADR 0033). repeats: an earlier report of the patient leaves nothing new to
    tell (ADR 0016). ingested: a destination is clinical, and an image was not sent to the gateway but taken from a file.
    """
    reasons = (
        (policy is Policy.SHADOW, Release.WITHHELD_SHADOW),
        (policy is Policy.SILENT, Release.WITHHELD_SILENT),
        (not report.knees and not report_not_assessed, Release.WITHHELD_NOT_ASSESSED),
        (policy is Policy.POSITIVE_ONLY and not report.flagged, Release.WITHHELD_NOT_FLAGGED),
        (not has_destination, Release.WITHHELD_NO_DESTINATION),
        (not is_live, Release.WITHHELD_NOT_LIVE),
        (repeats, Release.WITHHELD_REPEAT),
        (ingested, Release.WITHHELD_INGESTED),
        (_is_late(study_time, now, late_after_hours), Release.WITHHELD_LATE),
    )
    return next((release for holds, release in reasons if holds), Release.SENT)


def _is_late(study_time: datetime | None, now: datetime, late_after_hours: float) -> bool:
    return study_time is not None and late_after_hours > 0 and now - study_time > timedelta(hours=late_after_hours)
