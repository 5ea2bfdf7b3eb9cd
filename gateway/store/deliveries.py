"""Deliveries: what the sender needs, whose turn it is, and what it learned from the peer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway.domain.bundle_state import MAY_SEND
from gateway.domain.delivery import ARRIVED, AttemptKind, DeliveryState, Turn, Verdict
from gateway.domain.job import SENDERS_KINDS, Claim, JobAction, JobKind, JobState
from gateway.domain.outcome import Policy
from gateway.domain.retraction import REJECTION
from gateway.errors import LeaseLostError, NotFoundError
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.job_acts import let_go_at
from gateway.store.job_queue import enqueue, fail, finish, held, put_back
from gateway.store.repeating import repeated
from gateway.store.retractions import RETRACTED, cancel_delivery, follow_up
from gateway.store.tables import BundleVersionRow, DeliveryAttemptRow, DeliveryRow, JobRow, ReportRow, ResultRow
from gateway.store.turns import NEWER_TAKEN_BACK, SUPERSEDED, turn_at_destination

_ENDED: Final = (JobState.DONE, JobState.CANCELLED)
_EVENTS: Final = {Verdict.SENT: Event.DELIVERY_SENT, Verdict.RETRY: Event.DELIVERY_RETRY, Verdict.DEAD: Event.DELIVERY_DEAD}


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingDelivery:
    """One result on its way to one destination."""

    delivery_id: str
    destination: str
    state: str
    let_go_at: datetime | None
    """When an operator last released or retried it: it is tried for `delivery.retry_for_days` from then on."""
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    file: str
    sha256: str
    release: str
    routes: tuple[str, ...]
    """All that brought the study's images."""
    policy: Policy
    """That it was released under."""
    flagged: bool
    """Any of its knees."""
    intended_use: str
    """Of the bundle that made the result."""
    is_live: bool
    """That bundle is live, or was until another one came, and was so when it made the result."""
    turn: Turn
    is_retracted: bool
    """Its report was taken back: it goes nowhere any more."""
    is_rejection: bool
    """It is the note that takes a report back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one attempt came to. dimse_status is the peer's, None when it gave none."""

    verdict: Verdict
    code: str
    dimse_status: int | None = None
    retry_in_seconds: float | None = None
    number: int | None = None
    """By `begin`; None for one that ended before the network was asked."""
    confirm: bool = False
    """Whether the destination is to be asked later if it still has what it took."""


class Deliveries:
    """The sender's side of the store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, delivery_id: str) -> PendingDelivery:
        with self._database.reading() as session:
            found = session.execute(
                select(DeliveryRow, ResultRow, BundleVersionRow, ReportRow)
                .join(ResultRow, ResultRow.id == DeliveryRow.result_id)
                .join(ReportRow, ReportRow.assessment_set == ResultRow.assessment_set, isouter=True)
                .join(BundleVersionRow, BundleVersionRow.bundle_hash == ResultRow.bundle_hash)
                .where(DeliveryRow.id == delivery_id)
            ).one_or_none()
            if found is None:
                raise NotFoundError(delivery_id)
            delivery, result, bundle, report = found
            return PendingDelivery(
                delivery_id=delivery.id,
                destination=delivery.destination,
                state=delivery.state,
                let_go_at=let_go_at(session, JobKind.DELIVER_RESULT, delivery.id),
                sop_class_uid=result.sop_class_uid,
                sop_instance_uid=result.sop_instance_uid,
                study_instance_uid=result.study_instance_uid,
                file=result.file,
                sha256=result.sha256,
                release=result.release,
                routes=(result.route,) if report is None else tuple(report.routes),
                policy=Policy.ALL if report is None else Policy(report.policy),
                flagged=result.flagged,
                intended_use=bundle.intended_use,
                is_live=bundle.state in MAY_SEND and bundle.live_since is not None and result.created_at >= bundle.live_since,
                turn=turn_at_destination(session, delivery, result),
                is_retracted=result.retracted_at is not None,
                is_rejection=result.kind == REJECTION,
            )

    @repeated
    def wait_for_older(self, claim: Claim, *, seconds: float) -> None:
        """An older revision is being sent there: not yet."""
        with self._database.transaction() as session:
            put_back(session, claim, JobAction.POSTPONE, Event.JOB_POSTPONED, seconds=seconds, code="older_first")

    @repeated
    def supersede(self, claim: Claim) -> bool:
        """A newer revision goes there: this one must never arrive after it. False: not any more, that one was taken back meanwhile."""
        with self._database.transaction() as session:
            row = locked_delivery(session, claim.subject)
            if turn_at_destination(session, row, _result_of(session, row)) is not Turn.SUPERSEDED:
                put_back(session, claim, JobAction.POSTPONE, Event.JOB_POSTPONED, seconds=0.0, code=NEWER_TAKEN_BACK)
                return False
            row.state, row.last_code = DeliveryState.CANCELLED, SUPERSEDED
            finish(session, claim, code=SUPERSEDED, actor=claim.owner)
            record(
                session,
                Event.DELIVERY_CANCELLED,
                actor=claim.owner,
                study_instance_uid=claim.study_instance_uid,
                delivery_id=row.id,
                destination=row.destination,
                code=SUPERSEDED,
            )
            return True

    @repeated
    def withdraw(self, claim: Claim) -> None:
        """Its report was taken back meanwhile: it is not sent, and what an earlier attempt may have brought there is rejected."""
        with self._database.transaction() as session:
            row = locked_delivery(session, claim.subject)
            finish(session, claim, code=RETRACTED, actor=claim.owner)
            if row.state not in ARRIVED:
                cancel_delivery(session, row, claim.study_instance_uid, actor=claim.owner)
            session.flush()
            follow_up(session, row, claim.study_instance_uid, _result_of(session, row).assessment_set, actor=claim.owner)

    def open_lanes(self) -> tuple[str, ...]:
        """Destinations for which jobs are open or may be opened again, whether the configuration knows them or not."""
        open_of_sender = select(JobRow.lane).where(JobRow.kind.in_(SENDERS_KINDS), JobRow.state.not_in(_ENDED), JobRow.lane.is_not(None))
        with self._database.reading() as session:
            return tuple(lane for lane in session.scalars(open_of_sender.distinct()) if lane is not None)

    def destinations_with_dead(self) -> frozenset[str]:
        with self._database.reading() as session:
            return frozenset(session.scalars(select(DeliveryRow.destination).where(DeliveryRow.state == DeliveryState.DEAD).distinct()))

    @repeated
    def begin(self, claim: Claim) -> int | None:
        """Before the network is asked: a process that dies over it leaves a row without an end. Returns the attempt's number.

        Nothing may go out after LeaseLostError, when the job is another's or held by now; nor after None, when the report was taken
        back since it was read: what is taken back first is not sent, and what begins first is a row that the taking back sees.
        """
        with self._database.transaction() as session:
            delivery = locked_delivery(session, claim.subject)
            held(session, claim)
            if _result_of(session, delivery).retracted_at is not None:
                return None
            row = DeliveryAttemptRow(delivery_id=delivery.id, kind=AttemptKind.SEND, actor=claim.owner, started_at=datetime.now(UTC))
            session.add(row)
            session.flush()
            return row.id

    def record(self, claim: Claim, attempt: Attempt) -> None:
        """One transaction: the attempt, the delivery's state, the peer's status, and the job's.

        LeaseLostError when the job is another's or held by now; what the peer said is kept all the same.
        """
        try:
            self._record(claim, attempt)
        except LeaseLostError:
            self._keep_attempt(claim, attempt)
            raise

    @repeated
    def _keep_attempt(self, claim: Claim, attempt: Attempt) -> None:
        with self._database.transaction() as session:
            row = locked_delivery(session, claim.subject)
            _end_attempt(session, claim, attempt)
            result = _result_of(session, row)
            if result.retracted_at is not None:
                if attempt.verdict is Verdict.SENT:
                    # nobody will try it again, so that nothing else would say that it is there
                    row.state, row.sent_at = DeliveryState.SENT, datetime.now(UTC)
                session.flush()
                follow_up(session, row, claim.study_instance_uid, result.assessment_set, actor=claim.owner)

    @repeated
    def _record(self, claim: Claim, attempt: Attempt) -> None:
        with self._database.transaction() as session:
            row = locked_delivery(session, claim.subject)
            result = _result_of(session, row)
            row.attempts += 1
            row.last_status, row.last_code = attempt.dimse_status, attempt.code
            if attempt.verdict is Verdict.SENT:
                row.state, row.sent_at = DeliveryState.SENT, datetime.now(UTC)
                finish(session, claim, code=attempt.code, actor=claim.owner)
                if attempt.confirm and result.retracted_at is None:
                    enqueue(session, JobKind.CONFIRM_DELIVERY, row.id, claim.study_instance_uid, actor=claim.owner, lane=row.destination)
            elif result.retracted_at is not None:
                finish(session, claim, code=attempt.code, actor=claim.owner)
                cancel_delivery(session, row, claim.study_instance_uid, actor=claim.owner)
            elif attempt.verdict is Verdict.DEAD:
                row.state = DeliveryState.DEAD
                fail(session, claim, code=attempt.code, retry_in_seconds=None)
            else:
                fail(session, claim, code=attempt.code, retry_in_seconds=attempt.retry_in_seconds)
            _end_attempt(session, claim, attempt)
            if row.state != DeliveryState.CANCELLED:
                _tell(session, claim, row, attempt)
            if result.retracted_at is not None:
                session.flush()
                follow_up(session, row, claim.study_instance_uid, result.assessment_set, actor=claim.owner)


def locked_delivery(session: Session, delivery_id: str) -> DeliveryRow:
    """The row, locked: always before its job's. NotFoundError for an id that no delivery has."""
    row = session.scalar(select(DeliveryRow).where(DeliveryRow.id == delivery_id).with_for_update())
    if row is None:
        raise NotFoundError(delivery_id)
    return row


def _result_of(session: Session, delivery: DeliveryRow) -> ResultRow:
    return session.scalars(select(ResultRow).where(ResultRow.id == delivery.result_id)).one()


def _tell(session: Session, claim: Claim, row: DeliveryRow, attempt: Attempt) -> None:
    record(
        session,
        _EVENTS[attempt.verdict],
        actor=claim.owner,
        study_instance_uid=claim.study_instance_uid,
        delivery_id=row.id,
        destination=row.destination,
        code=attempt.code,
        dimse_status=None if attempt.dimse_status is None else f"{attempt.dimse_status:04X}",
        attempts=row.attempts,
    )


def _end_attempt(session: Session, claim: Claim, attempt: Attempt) -> None:
    now = datetime.now(UTC)
    row = None if attempt.number is None else session.get(DeliveryAttemptRow, attempt.number)
    if row is None:
        row = DeliveryAttemptRow(delivery_id=claim.subject, kind=AttemptKind.SEND, actor=claim.owner, started_at=now)
        session.add(row)
    row.ended_at, row.code, row.dimse_status = now, attempt.code, attempt.dimse_status
