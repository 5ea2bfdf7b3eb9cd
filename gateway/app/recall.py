"""A recall from its target to its end: one bounded transaction after the other, the same again changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from gateway.domain.operator import Operator
from gateway.domain.recall import RecalledReport, RecallScope, RecallTarget
from gateway.domain.retraction import RejectionReason
from gateway.store.database import Database
from gateway.store.recalls import Recalls


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallPlan:
    """What a recall is about, as it stands now. studies: of which nothing new is sent from then on; none for a bundle."""

    target: RecallTarget
    studies: tuple[str, ...]
    reports: tuple[RecalledReport, ...]

    @property
    def to_do(self) -> int:
        return sum(not report.already for report in self.reports)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallDone:
    """What a recall changed. newly_closed: studies that were recalled, or the bundle that was retired, by this call."""

    taken_back: int
    already: int
    cancelled: int
    notes_due: int
    newly_closed: int


Watched = Callable[[Sequence[str]], Iterable[str]]
"""The same, one after the other, while somebody sees how far it is."""


def plan_recall(database: Database, target: RecallTarget, watched: Watched = iter) -> RecallPlan:
    """RecallTargetError and PatientNotUniqueError, see `Recalls`."""
    recalls = Recalls(database)
    if target.scope is RecallScope.BUNDLE:
        target = replace(target, key=recalls.bundle(target.key))
    studies = recalls.studies(target)
    reports = tuple(recalls.report(one) for one in watched(recalls.reports(target, studies)))
    return RecallPlan(target=target, studies=studies, reports=reports)


def recall(database: Database, plan: RecallPlan, reason: RejectionReason, operator: Operator, watched: Watched = iter) -> RecallDone:
    """First nothing new may follow, then what is there is taken back: a report that comes between is seen."""
    recalls = Recalls(database)
    if plan.target.scope is RecallScope.BUNDLE:
        closed = int(recalls.retire(plan.target.key, reason, operator))
    else:
        closed = sum(recalls.withhold(study, reason, operator) for study in plan.studies)
    done = [recalls.take_back(one, reason, operator) for one in watched(recalls.reports(plan.target, plan.studies))]
    return RecallDone(
        taken_back=sum(not one.already for one in done),
        already=sum(one.already for one in done),
        cancelled=sum(one.cancelled for one in done),
        notes_due=sum(one.note_is_due for one in done),
        newly_closed=closed,
    )
