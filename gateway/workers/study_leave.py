"""Where a study's result may go, by what two people have said of the bundle that made it."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.config import Settings, destinations_for_live
from gateway.domain.bundle_state import Leave, leave_of
from gateway.errors import BundleChangesError
from gateway.store.bundles import Bundles
from gateway.workers.reported_study import ReportedStudy


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyLeave:
    """The gate before deliveries are queued; `deliver_result` asks once more before the network (ADR 0033)."""

    bundles: Bundles
    settings: Settings
    bundle_hash: str
    other_bundles: frozenset[str] = frozenset()
    """Hashes of those that this worker could be started with instead."""

    def destinations(self, study: ReportedStudy) -> tuple[str, ...]:
        """Those of the route's destinations that the result may go to. BundleChangesError: it is not this worker's to say."""
        closed = destinations_for_live(self.settings)
        if not closed & set(study.route.destinations):
            return study.route.destinations
        images = [instance.instance_id for instance, _ in study.images]
        standing = self.bundles.standing(self.bundle_hash, instance_ids=images)
        leave = leave_of(standing, others_here=self.other_bundles)
        if leave is Leave.LATER:
            raise BundleChangesError
        return tuple(name for name in study.route.destinations if leave is Leave.GRANTED or name not in closed)
