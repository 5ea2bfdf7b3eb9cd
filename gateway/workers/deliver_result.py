"""One result to one destination, as often as it takes."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.config import Settings, destinations_above
from gateway.delivery.storage_scu import StorageScu
from gateway.domain.delivery import Verdict
from gateway.domain.job import Claim
from gateway.domain.outcome import Release
from gateway.errors import GatewayError
from gateway.events import Event
from gateway.routing.study_route import strictest_route
from gateway.store.deliveries import Attempt, Deliveries, PendingDelivery
from gateway.store.spool import Spool
from gateway.workers.attempt import Ending
from gateway.workers.retry import Backoff

_EVENTS: Final = {Verdict.SENT: Event.JOB_DONE, Verdict.RETRY: Event.JOB_RETRY, Verdict.DEAD: Event.JOB_DEAD}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverResult:
    """The deliver_result job; the last gate before the network."""

    deliveries: Deliveries
    spool: Spool
    scu: StorageScu
    settings: Settings

    def run(self, claim: Claim) -> Ending:
        attempt = self._attempt(claim, self.deliveries.get(claim.subject))
        self.deliveries.record(claim, attempt)
        return Ending(_EVENTS[attempt.verdict], attempt.code)

    def give_up(self, claim: Claim, error: GatewayError) -> None:
        self.deliveries.record(claim, Attempt(verdict=Verdict.DEAD, code=error.code))

    def _attempt(self, claim: Claim, delivery: PendingDelivery) -> Attempt:
        destination = self.settings.destination(delivery.destination)
        if destination is None:
            return Attempt(verdict=Verdict.DEAD, code="destination_unknown")
        if delivery.release != Release.SENT:
            return Attempt(verdict=Verdict.DEAD, code="not_released")
        if strictest_route(self.settings, delivery.routes).policy.openness < delivery.policy.openness:
            return Attempt(verdict=Verdict.DEAD, code="policy_withdrawn")
        if delivery.destination in destinations_above(self.settings, delivery.intended_use):
            return Attempt(verdict=Verdict.DEAD, code="destination_class")
        content = self.spool.read_verified(delivery.file, delivery.sha256)
        answered = self.scu.send(destination, content, delivery.sop_class_uid)
        if answered.verdict is not Verdict.RETRY:
            return Attempt(verdict=answered.verdict, code=answered.code, dimse_status=answered.dimse_status)
        return self._retry(claim, delivery, answered.code, answered.dimse_status)

    def _retry(self, claim: Claim, delivery: PendingDelivery, code: str, dimse_status: int | None) -> Attempt:
        policy = self.settings.delivery
        if datetime.now(UTC) - delivery.created_at > timedelta(days=policy.retry_for_days):
            return Attempt(verdict=Verdict.DEAD, code="retried_too_long", dimse_status=dimse_status)
        backoff = Backoff(first_seconds=policy.retry_first_seconds, max_seconds=policy.retry_max_seconds)
        delay = backoff.delay(claim.attempts + 1, random.random())  # noqa: S311  jitter is no secret
        return Attempt(verdict=Verdict.RETRY, code=code, dimse_status=dimse_status, retry_in_seconds=delay)
