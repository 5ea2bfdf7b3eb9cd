"""Storage commitment reports that destinations bring over associations of their own."""

from __future__ import annotations

from collections.abc import Callable

from gateway.config import Settings
from gateway.domain.confirmation import CommitmentReport, ReportAnswer
from gateway.store.commitment_reports import CommitmentReports


def reports_from(settings: Settings, reports: CommitmentReports) -> Callable[[str, CommitmentReport | None], ReportAnswer]:
    """Takes a report with the AE title that brings it: it may speak for the destinations of that title, and for no other."""

    def take(ae_title: str, report: CommitmentReport | None) -> ReportAnswer:
        spoken_for = [destination.name for destination in settings.destinations if destination.ae_title == ae_title]
        return reports.take(report, destinations=spoken_for, ae_title=ae_title)

    return take
