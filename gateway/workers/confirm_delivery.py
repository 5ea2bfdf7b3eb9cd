"""Is a sent result still at its destination? Asked until it says so, or for too long."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydicom.uid import generate_uid

from gateway.config import Settings
from gateway.delivery.commitment_scu import CommitmentScu
from gateway.delivery.link import Answered, Finds
from gateway.domain.confirmation import NOT_FOUND, Followup, followup_of
from gateway.domain.delivery import AttemptKind, DeliveryState, Verdict
from gateway.domain.job import Claim
from gateway.errors import GatewayError
from gateway.events import Event
from gateway.store.confirmations import Answer, Confirmations, PendingConfirmation
from gateway.workers.attempt import Ending
from gateway.workers.retry import Backoff, sends_until

_TIMES_NOT_FOUND = 5
"""So many finds in a row without it, and it is sent again."""
_TIMES_SENT_AGAIN = 3
"""To a destination that takes it each time and then has it not: then a person must look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmDelivery:
    """The confirm_delivery job of one lane. None as an SCU: the destination is not in the configuration any more."""

    confirmations: Confirmations
    commitment: CommitmentScu | None
    find: Finds | None
    settings: Settings

    def run(self, claim: Claim) -> Ending:
        pending = self.confirmations.get(claim.subject)
        destination = self.settings.destination(pending.destination)
        asks = "none" if destination is None else destination.commitment
        if pending.state is not DeliveryState.SENT or asks == "none":
            code = pending.state.value if pending.state is not DeliveryState.SENT else "not_asked"
            self.confirmations.settle(claim, code=code)
            return Ending(Event.JOB_DONE, code)
        followup, code = (Followup.ASK_AGAIN, "") if pending.failure_reason is None else followup_of(pending.failure_reason)
        if followup is Followup.GIVE_UP:
            return self._give_up(claim, code)
        since = max(pending.sent_at, pending.let_go_at or pending.sent_at)
        if datetime.now(UTC) - since > timedelta(days=self.settings.delivery.retry_for_days):
            return self._give_up(claim, code or "confirmation_never_came")
        if followup is Followup.SEND_AGAIN:
            seconds = self._until_resent(pending)
            return _ending(code, self.confirmations.send_again(claim, code=code, seconds=seconds), seconds)
        return self._ask_commitment(claim, pending) if asks == "storage_commitment" else self._look(claim, pending)

    def give_up(self, claim: Claim, error: GatewayError) -> None:
        self.confirmations.give_up(claim, code=error.code)

    def _ask_commitment(self, claim: Claim, pending: PendingConfirmation) -> Ending:
        assert self.commitment is not None
        # a new one each time: destinations refuse, or mix up, one that they have seen (PS3.4 J.3.2.1.1)
        transaction_uid = str(generate_uid(prefix=None))
        attempt = self.confirmations.begin(claim, AttemptKind.COMMITMENT, transaction_uid)
        answered = self.commitment.ask(
            transaction_uid, pending.sop_class_uid, pending.sop_instance_uid, until=sends_until(claim, self.settings)
        )
        return self._wait(claim, pending, _answer(attempt, answered))

    def _look(self, claim: Claim, pending: PendingConfirmation) -> Ending:
        assert self.find is not None
        attempt = self.confirmations.begin(claim, AttemptKind.FIND)
        answered = self.find.ask(
            pending.study_instance_uid, pending.series_instance_uid, pending.sop_instance_uid, until=sends_until(claim, self.settings)
        )
        if answered.verdict is Verdict.SENT:
            self.confirmations.found(claim, _answer(attempt, answered))
            return Ending(Event.JOB_DONE, answered.code)
        if answered.code == NOT_FOUND and pending.not_found + 1 >= _TIMES_NOT_FOUND:
            seconds = self._until_resent(pending)
            return _ending(answered.code, self.confirmations.not_there(claim, _answer(attempt, answered), seconds=seconds), seconds)
        return self._wait(claim, pending, _answer(attempt, answered))

    def _wait(self, claim: Claim, pending: PendingConfirmation, answer: Answer) -> Ending:
        delivery = self.settings.delivery
        backoff = Backoff(
            first_seconds=delivery.confirm_after_seconds, max_seconds=max(delivery.retry_max_seconds, delivery.confirm_after_seconds)
        )
        seconds = backoff.delay(pending.asked + 1, random.random())  # noqa: S311  jitter is no secret
        self.confirmations.wait(claim, answer, seconds=seconds)
        return Ending(Event.JOB_POSTPONED, answer.code)

    def _until_resent(self, pending: PendingConfirmation) -> float | None:
        """Seconds; None: it was sent again often enough."""
        if pending.sent_again >= _TIMES_SENT_AGAIN:
            return None
        delivery = self.settings.delivery
        backoff = Backoff(first_seconds=delivery.retry_first_seconds, max_seconds=delivery.retry_max_seconds)
        return backoff.delay(pending.sent_again + 1, random.random())  # noqa: S311  jitter is no secret

    def _give_up(self, claim: Claim, code: str) -> Ending:
        self.confirmations.give_up(claim, code=code)
        return Ending(Event.JOB_DEAD, code)


def _answer(attempt: int, answered: Answered) -> Answer:
    return Answer(attempt=attempt, code=answered.code, dimse_status=answered.dimse_status)


def _ending(code: str, ended: str, seconds: float | None) -> Ending:
    """Of a job that was to send again; ended: what the store made of it."""
    return Ending(Event.JOB_DEAD if seconds is None and ended == code else Event.JOB_DONE, ended)
