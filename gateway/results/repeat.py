"""Does a result tell anything that a patient's earlier report has not told? Pure: values in, values out (ADR 0016)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta

from gateway.domain.finding import Laterality
from gateway.domain.outcome import KneeDecision
from gateway.domain.told import ToldKnee, ToldReport


def repeated_report(
    knees: Sequence[ToldKnee], earlier: Iterable[ToldReport], *, study_date: date | None, repeat_days: int, destinations: Iterable[str]
) -> ToldReport | None:
    """The first of the patient's earlier reports that leaves nothing new to tell, or None.

    It has arrived at every destination of this result, and names every knee with as strong a decision: either by the very same image,
    whenever that was, or by its side, in a study of the same day or at most `repeat_days` before. A knee that is flagged for the first
    time is news, and so is one of unknown side.
    """
    wanted = frozenset(destinations)
    if not knees or not wanted:
        return None
    for report in earlier:
        within = _is_within(report.study_date, study_date, repeat_days)
        if wanted <= report.arrived and (
            _tells(report, knees, lambda told, knee: told.image == knee.image)
            or (within and _tells(report, knees, lambda told, knee: told.side == knee.side and knee.side is not Laterality.UNKNOWN))
        ):
            return report
    return None


def _is_within(earlier: date | None, later: date | None, days: int) -> bool:
    return days > 0 and earlier is not None and later is not None and timedelta(0) <= later - earlier <= timedelta(days=days)


def _tells(report: ToldReport, knees: Sequence[ToldKnee], is_same: Callable[[ToldKnee, ToldKnee], bool]) -> bool:
    return all(any(is_same(told, knee) and _is_as_strong(told, knee) for told in report.knees) for knee in knees)


def _is_as_strong(told: ToldKnee, knee: ToldKnee) -> bool:
    return told.decision in (KneeDecision.FLAGGED, knee.decision)
