"""The sender's side of confirmations: what is asked, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from gateway.domain.confirmation import NOT_FOUND, NOT_THERE
from gateway.domain.delivery import AttemptKind, DeliveryState
from gateway.domain.job import Claim, JobAction, JobKind, JobState
from gateway.errors import LeaseLostError, NotFoundError
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.deliveries import locked_delivery
from gateway.store.job_acts import let_go_at
from gateway.store.job_queue import enqueue, fail, finish, put_back
from gateway.store.repeating import repeated
from gateway.store.retractions import RETRACTED
from gateway.store.tables import DeliveryAttemptRow, DeliveryRow, JobRow, ResultRow

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingConfirmation:
    """A sent result that a destination is to confirm."""

    delivery_id: str
    destination: str
    state: DeliveryState
    sent_at: datetime
    let_go_at: datetime | None
    """When an operator last released or retried its job."""
    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    asked: int
    """Requests since it was last sent."""
    not_found: int
    """Of them the newest ones in a row that did not find it."""
    sent_again: int
    """How often it was, for want of it there; an operator's act begins the count anew."""
    failure_reason: int | None
    """Of the report to the newest request; None without one, or when an operator has acted since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a request. attempt: its number, by `begin`."""

    attempt: int
    code: str
    dimse_status: int | None


class Confirmations:
    """Each call one transaction. LeaseLostError when the job is another's by now."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, delivery_id: str) -> PendingConfirmation:
        with self._database.reading() as session:
            found = session.execute(
                select(DeliveryRow, ResultRow).join(ResultRow, ResultRow.id == DeliveryRow.result_id).where(DeliveryRow.id == delivery_id)
            ).one_or_none()
            if found is None:
                raise NotFoundError(delivery_id)
            delivery, result = found
            since = let_go_at(session, JobKind.CONFIRM_DELIVERY, delivery_id)
            asked = _asked(session, delivery_id)
            return PendingConfirmation(
                delivery_id=delivery.id,
                destination=delivery.destination,
                state=DeliveryState(delivery.state),
                sent_at=delivery.sent_at or delivery.created_at,
                let_go_at=since,
                study_instance_uid=result.study_instance_uid,
                series_instance_uid=result.series_instance_uid,
                sop_class_uid=result.sop_class_uid,
                sop_instance_uid=result.sop_instance_uid,
                asked=len(asked),
                not_found=len([*takewhile(lambda attempt: attempt.code == NOT_FOUND, reversed(asked))]),
                sent_again=_sent_again(session, delivery_id, since),
                failure_reason=_failure_reason(asked, since),
            )

    @repeated
    def begin(self, claim: Claim, kind: AttemptKind, transaction_uid: str | None = None) -> int:
        """Before the network is asked: a report may come before the answer. Returns the attempt's number."""
        with self._database.transaction() as session:
            delivery = locked_delivery(session, claim.subject)
            row = DeliveryAttemptRow(
                delivery_id=delivery.id, kind=kind, actor=claim.owner, started_at=datetime.now(UTC), transaction_uid=transaction_uid
            )
            session.add(row)
            delivery.transaction_uid = transaction_uid or delivery.transaction_uid
            session.flush()
            return row.id

    def wait(self, claim: Claim, answer: Answer, *, seconds: float) -> None:
        """Asked, and not confirmed yet: the destination is asked again after so long, or the job settled once it commits."""

        def put(session: Session, _delivery: DeliveryRow, row: DeliveryAttemptRow) -> None:
            # the report may have come before the answer to the request
            is_committed = row.reported_at is not None and row.failure_reason is None
            due = 0.0 if is_committed else seconds
            put_back(session, claim, JobAction.POSTPONE, Event.JOB_POSTPONED, seconds=due, code=answer.code)

        self._answered(claim, answer, put)

    def found(self, claim: Claim, answer: Answer) -> None:
        def find(session: Session, delivery: DeliveryRow, _row: DeliveryAttemptRow) -> None:
            if delivery.state == DeliveryState.SENT:
                delivery.state = DeliveryState.FOUND
            finish(session, claim, code=answer.code, actor=claim.owner)
            _tell(session, Event.DELIVERY_FOUND, claim, delivery, answer.code)

        self._answered(claim, answer, find)

    def not_there(self, claim: Claim, answer: Answer, *, seconds: float | None) -> str:
        """A request has just told so; see `send_again`."""
        return self._answered(claim, answer, lambda session, delivery, _row: _resend(session, claim, delivery, answer.code, seconds))

    @repeated
    def send_again(self, claim: Claim, *, code: str, seconds: float | None) -> str:
        """The destination has it no longer, or never had it: the same object once more, after so long; None: not again, an alarm.

        Returns the code that the job ended with: when it was confirmed meanwhile, nothing is sent.
        """
        with self._database.transaction() as session:
            return _resend(session, claim, locked_delivery(session, claim.subject), code, seconds)

    def _answered(self, claim: Claim, answer: Answer, follow: Callable[[Session, DeliveryRow, DeliveryAttemptRow], Made]) -> Made:
        """One transaction: the answer and what follows from it. What the peer said is kept also when the job is another's by now."""
        try:
            return self._follow(claim, answer, follow)
        except LeaseLostError:
            self._follow(claim, answer, lambda _session, _delivery, _row: None)
            raise

    @repeated
    def _follow(self, claim: Claim, answer: Answer, follow: Callable[[Session, DeliveryRow, DeliveryAttemptRow], Made]) -> Made:
        with self._database.transaction() as session:
            delivery = locked_delivery(session, claim.subject)
            return follow(session, delivery, _ended(session, answer))

    @repeated
    def settle(self, claim: Claim, *, code: str) -> None:
        """Nothing is left to ask."""
        with self._database.transaction() as session:
            finish(session, claim, code=code, actor=claim.owner)

    @repeated
    def give_up(self, claim: Claim, *, code: str) -> None:
        """It stays sent and is not confirmed: an alarm. `jobs retry` asks again."""
        with self._database.transaction() as session:
            _give_up(session, claim, locked_delivery(session, claim.subject), code)


def _give_up(session: Session, claim: Claim, delivery: DeliveryRow, code: str) -> None:
    fail(session, claim, code=code, retry_in_seconds=None)
    _tell(session, Event.DELIVERY_UNCONFIRMED, claim, delivery, code)


def _resend(session: Session, claim: Claim, delivery: DeliveryRow, code: str, seconds: float | None) -> str:
    if delivery.state != DeliveryState.SENT:
        finish(session, claim, code=delivery.state, actor=claim.owner)
        return delivery.state
    if session.scalar(select(ResultRow.retracted_at).where(ResultRow.id == delivery.result_id)) is not None:
        # it is not wanted there any more
        finish(session, claim, code=RETRACTED, actor=claim.owner)
        return RETRACTED
    if seconds is None:
        _give_up(session, claim, delivery, code)
        return code
    finish(session, claim, code=code, actor=claim.owner)
    delivery.state = DeliveryState.PENDING
    due, lane = datetime.now(UTC) + timedelta(seconds=seconds), delivery.destination
    enqueue(session, JobKind.DELIVER_RESULT, delivery.id, claim.study_instance_uid, actor=claim.owner, next_at=due, lane=lane)
    _tell(session, Event.DELIVERY_RESENT, claim, delivery, code)
    return code


def _sent_again(session: Session, delivery_id: str, since: datetime | None) -> int:
    """Each time a job of this kind has ended over it."""
    ended = select(func.count()).where(
        JobRow.kind == JobKind.CONFIRM_DELIVERY,
        JobRow.subject == delivery_id,
        JobRow.state == JobState.DONE,
        JobRow.last_code.in_(NOT_THERE),
    )
    return session.scalar(ended if since is None else ended.where(JobRow.finished_at > since)) or 0


def _failure_reason(asked: Sequence[DeliveryAttemptRow], since: datetime | None) -> int | None:
    if not asked or asked[-1].reported_at is None or (since is not None and asked[-1].reported_at <= since):
        return None
    return asked[-1].failure_reason


def _asked(session: Session, delivery_id: str) -> Sequence[DeliveryAttemptRow]:
    of_delivery = select(DeliveryAttemptRow).where(DeliveryAttemptRow.delivery_id == delivery_id)
    last_sent = session.scalar(
        select(func.max(DeliveryAttemptRow.id)).where(
            DeliveryAttemptRow.delivery_id == delivery_id, DeliveryAttemptRow.kind == AttemptKind.SEND
        )
    )
    return session.scalars(of_delivery.where(DeliveryAttemptRow.id > (last_sent or 0)).order_by(DeliveryAttemptRow.id)).all()


def _ended(session: Session, answer: Answer) -> DeliveryAttemptRow:
    row = session.scalars(select(DeliveryAttemptRow).where(DeliveryAttemptRow.id == answer.attempt)).one()
    row.ended_at, row.code, row.dimse_status = datetime.now(UTC), answer.code, answer.dimse_status
    return row


def _tell(session: Session, event: Event, claim: Claim, delivery: DeliveryRow, code: str) -> None:
    record(
        session,
        event,
        actor=claim.owner,
        study_instance_uid=claim.study_instance_uid,
        delivery_id=delivery.id,
        destination=delivery.destination,
        code=code,
    )
