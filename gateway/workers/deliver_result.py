"""One result to one destination, as often as it takes."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.config import Settings, destinations_above, destinations_for_live
from gateway.delivery.link import Sends
from gateway.domain.delivery import Turn, Verdict
from gateway.domain.job import Claim
from gateway.domain.last_gate import Outgoing, obstacle_to
from gateway.domain.outcome import Release
from gateway.errors import DrainingError, GatewayError
from gateway.events import Event
from gateway.routing.study_route import strictest_route
from gateway.store.deliveries import Attempt, Deliveries, PendingDelivery
from gateway.store.retractions import RETRACTED
from gateway.store.spool import Spool
from gateway.store.turns import NEWER_TAKEN_BACK, SUPERSEDED
from gateway.workers.attempt import Ending
from gateway.workers.retry import Backoff, sends_until

_OLDER_FIRST_SECONDS: Final = 1.0
_EVENTS: Final = {Verdict.SENT: Event.JOB_DONE, Verdict.RETRY: Event.JOB_RETRY, Verdict.DEAD: Event.JOB_DEAD}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverResult:
    """The deliver_result job of one lane; the last gate before the network."""

    deliveries: Deliveries
    spool: Spool
    scu: Sends | None
    """None: the lane's destination is not in the configuration any more."""
    settings: Settings

    def run(self, claim: Claim) -> Ending:
        delivery = self.deliveries.get(claim.subject)
        if delivery.is_retracted:
            return self._withdraw(claim)
        if delivery.turn is Turn.WAIT:
            self.deliveries.wait_for_older(claim, seconds=_OLDER_FIRST_SECONDS)
            return Ending(Event.JOB_POSTPONED, "older_first")
        if delivery.turn is Turn.SUPERSEDED:
            is_superseded = self.deliveries.supersede(claim)
            return Ending(Event.JOB_DONE, SUPERSEDED) if is_superseded else Ending(Event.JOB_POSTPONED, NEWER_TAKEN_BACK)
        attempt = self._attempt(claim, delivery)
        if attempt is None:
            return self._withdraw(claim)
        self.deliveries.record(claim, attempt)
        return Ending(_EVENTS[attempt.verdict], attempt.code)

    def give_up(self, claim: Claim, error: GatewayError) -> None:
        self.deliveries.record(claim, Attempt(verdict=Verdict.DEAD, code=error.code))

    def _withdraw(self, claim: Claim) -> Ending:
        self.deliveries.withdraw(claim)
        return Ending(Event.JOB_DONE, RETRACTED)

    def _attempt(self, claim: Claim, delivery: PendingDelivery) -> Attempt | None:
        """None: its report was taken back meanwhile, and nothing has gone out."""
        destination = self.settings.destination(delivery.destination)
        if destination is None or self.scu is None:
            return Attempt(verdict=Verdict.DEAD, code="destination_unknown")
        refused = self._refused_by_settings(delivery)
        if refused is not None:
            return Attempt(verdict=Verdict.DEAD, code=refused)
        content = self.spool.read_verified(delivery.file, delivery.sha256)
        number = self.deliveries.begin(claim)
        if number is None:
            return None
        answered = self.scu.send(content, delivery.sop_class_uid, delivery.sop_instance_uid, until=sends_until(claim, self.settings))
        attempt = Attempt(
            verdict=answered.verdict,
            code=answered.code,
            dimse_status=answered.dimse_status,
            number=number,
            confirm=destination.commitment != "none",
        )
        return attempt if answered.verdict is not Verdict.RETRY else self._retry(claim, delivery, attempt)

    def _refused_by_settings(self, delivery: PendingDelivery) -> str | None:
        """A note is held by its release alone: it says nothing of the patient, and what it takes back is there by settings that held
        then (ADR 0031).
        """
        if delivery.is_rejection:
            return None if delivery.release == Release.SENT else "not_released"
        today = strictest_route(self.settings, delivery.routes)
        return obstacle_to(
            Outgoing(
                release=delivery.release,
                made_under=delivery.policy,
                flagged=delivery.flagged,
                policy_today=today.policy,
                destination=delivery.destination,
                destinations_today=today.destinations,
                destinations_above=destinations_above(self.settings, delivery.intended_use),
                destinations_for_live=destinations_for_live(self.settings),
                is_live=delivery.is_live,
            )
        )

    def _retry(self, claim: Claim, delivery: PendingDelivery, attempt: Attempt) -> Attempt:
        policy = self.settings.delivery
        if attempt.code == DrainingError.code:
            return replace(attempt, retry_in_seconds=0.0)
        # a job of its own for each time that it is sent: what is sent again after a week is not too old at once
        since = max(claim.created_at, delivery.let_go_at or claim.created_at)
        if datetime.now(UTC) - since > timedelta(days=policy.retry_for_days):
            return replace(attempt, verdict=Verdict.DEAD, code="retried_too_long")
        backoff = Backoff(first_seconds=policy.retry_first_seconds, max_seconds=policy.retry_max_seconds)
        return replace(attempt, retry_in_seconds=backoff.delay(claim.attempts + 1, random.random()))  # noqa: S311  jitter is no secret
