"""What may be sent, and what of it may be shown. Pure: values in, values out."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from gateway.domain.finding import StudyReport
from gateway.domain.outcome import KneeDecision, Policy, Release


def release_for(
    policy: Policy,
    report: StudyReport,
    *,
    study_time: datetime | None,
    now: datetime,
    late_after_hours: float,
    report_not_assessed: bool,
    repeats: bool = False,
) -> Release:
    """The first reason to withhold the result, in the order of the table, or SENT. Both times are aware.

    repeats: the patient has been sent as much already, within the site's window.
    """
    reasons = (
        (policy is Policy.SHADOW, Release.WITHHELD_SHADOW),
        (policy is Policy.SILENT, Release.WITHHELD_SILENT),
        (not report.knees and not report_not_assessed, Release.WITHHELD_NOT_ASSESSED),
        (policy is Policy.POSITIVE_ONLY and not report.flagged, Release.WITHHELD_NOT_FLAGGED),
        (repeats, Release.WITHHELD_REPEAT),
        (_is_late(study_time, now, late_after_hours), Release.WITHHELD_LATE),
    )
    return next((release for holds, release in reasons if holds), Release.SENT)


def visible(report: StudyReport, policy: Policy) -> StudyReport:
    """What a reader under this policy may see. `positive_only` names flagged knees and says nothing of anything else.

    Without a flagged knee such a report is withheld, and stays whole: emptied, it would read as "not processed".
    """
    if policy is not Policy.POSITIVE_ONLY or not report.flagged:
        return report
    flagged = tuple(knee for knee in report.knees if knee.decision is KneeDecision.FLAGGED)
    return replace(report, knees=flagged, not_assessed=())


def _is_late(study_time: datetime | None, now: datetime, late_after_hours: float) -> bool:
    return study_time is not None and late_after_hours > 0 and now - study_time > timedelta(hours=late_after_hours)
