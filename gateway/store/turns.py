"""Of one study and destination an older revision never arrives after a newer one that stands; without that one it goes after all."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from gateway.domain.delivery import DeliveryState, Turn, turn_of
from gateway.domain.job import JobKind, JobState
from gateway.domain.retraction import REJECTION
from gateway.store.new_deliveries import make_due
from gateway.store.tables import DeliveryRow, JobRow, ResultRow

SUPERSEDED: Final = "superseded"
"""The code of a delivery, and of its job, that ended because a newer revision goes there."""
NEWER_TAKEN_BACK: Final = "newer_taken_back"
"""The code of a delivery that goes after all."""


def turn_at_destination(session: Session, delivery: DeliveryRow, result: ResultRow) -> Turn:
    """A note waits only for what it rejects, and no newer revision stands in its way; to other results it is none."""
    there_too = _at(delivery.destination, result.study_instance_uid)
    if result.kind == REJECTION:
        rejected = there_too.where(ResultRow.assessment_set == result.assessment_set)
        return turn_of(newer_released=False, older_under_way=_is_under_way(session, rejected))
    wanted = there_too.where(DeliveryRow.state != DeliveryState.CANCELLED)
    return turn_of(
        newer_released=session.scalar(_newer(wanted, result.revision).limit(1)) is not None,
        older_under_way=_is_under_way(session, wanted.where(ResultRow.revision < result.revision)),
    )


def let_go_older(session: Session, study_instance_uid: str, revision: int, *, actor: str) -> None:
    """This revision was taken back: where an older one was not sent for its sake, and nothing newer stands, that one goes now.

    The caller holds the study. Locks the older deliveries, as whoever supersedes one does.
    """
    older = (
        select(DeliveryRow, ResultRow)
        .join(ResultRow, ResultRow.id == DeliveryRow.result_id)
        .where(
            ResultRow.study_instance_uid == study_instance_uid,
            ResultRow.kind != REJECTION,
            ResultRow.revision < revision,
            ResultRow.retracted_at.is_(None),
            ResultRow.purged_at.is_(None),
        )
        .order_by(DeliveryRow.id)
        .with_for_update(of=DeliveryRow)
    )
    for delivery, result in session.execute(older).all():
        if delivery.state != DeliveryState.CANCELLED or delivery.last_code != SUPERSEDED:
            continue
        if session.scalar(_newer(_at(delivery.destination, study_instance_uid), result.revision).limit(1)) is not None:
            continue
        _let_go(session, delivery, study_instance_uid, actor)


def _let_go(session: Session, delivery: DeliveryRow, study_instance_uid: str, actor: str) -> None:
    delivery.last_code = NEWER_TAKEN_BACK
    make_due(session, delivery, study_instance_uid, actor=actor, code=NEWER_TAKEN_BACK)


def _at(destination: str, study_instance_uid: str) -> Select[str]:
    return (
        select(DeliveryRow.id)
        .join(ResultRow, ResultRow.id == DeliveryRow.result_id)
        .where(ResultRow.study_instance_uid == study_instance_uid, ResultRow.kind != REJECTION, DeliveryRow.destination == destination)
    )


def _newer(deliveries: Select[str], revision: int) -> Select[str]:
    """Of those that stand: one that was taken back is replaced by what does, be it older."""
    return deliveries.where(ResultRow.revision > revision, ResultRow.retracted_at.is_(None))


def _is_under_way(session: Session, deliveries: Select[str]) -> bool:
    running = select(JobRow.id).where(
        JobRow.kind == JobKind.DELIVER_RESULT, JobRow.state == JobState.RUNNING, JobRow.subject.in_(deliveries)
    )
    return session.scalar(running.limit(1)) is not None
