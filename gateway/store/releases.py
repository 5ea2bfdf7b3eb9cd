"""A person lets a withheld report go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from gateway.domain.operator import Operator
from gateway.domain.outcome import RELEASABLE, Policy, Release
from gateway.domain.retraction import REJECTION
from gateway.errors import ReleaseRefusedError, ResultNotFoundError
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.new_deliveries import check_not_retired, closed_to, queue_delivery
from gateway.store.repeating import repeated
from gateway.store.retractions import lock_study, of_report
from gateway.store.tables import RecalledStudyRow, ReportRow, ResultRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """The report that a release is about."""

    study_instance_uid: str
    revision: int
    release: Release
    routes: tuple[str, ...]
    policy: Policy
    """That it was made under."""
    closed: frozenset[str]
    """Destinations that its bundle could not speak to when it was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """destinations: where it goes now."""

    study_instance_uid: str
    revision: int
    withheld_as: Release
    results: int
    destinations: tuple[str, ...]


DestinationsOf = Callable[[Withheld], tuple[str, ...]]
"""Where the report may go by today's settings; ReleaseRefusedError when they forbid it."""


class Releases:
    """Each call one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @repeated
    def release(self, key: str, destinations_of: DestinationsOf, operator: Operator) -> Released:
        """key: a study instance UID, or the SOP Instance UID or our id of one of the report's results.

        ResultNotFoundError where there is none; ReleaseRefusedError where it is not withheld for the circumstances, or not the study's
        newest, or was taken back. What was recalled and is released ends the recall of its study.
        """
        with self._database.transaction() as session:
            row = _report(session, key)
            lock_study(session, row.study_instance_uid)
            # read again: it may have changed until the study was ours
            session.refresh(row)
            withheld = _checked(session, row)
            destinations = destinations_of(withheld)
            if not destinations:
                raise ReleaseRefusedError("its routes have no destination that it may go to")
            results = session.scalars(of_report(row.assessment_set).with_for_update()).all()
            for result in results:
                result.release = Release.SENT
            if withheld.release is Release.WITHHELD_RECALLED:
                session.execute(delete(RecalledStudyRow).where(RecalledStudyRow.study_instance_uid == row.study_instance_uid))
            record(
                session,
                Event.RESULT_RELEASED,
                actor=operator.actor,
                study_instance_uid=row.study_instance_uid,
                sop_instance_uid=row.sop_instance_uid,
                release=withheld.release.value,
                reason=operator.reason,
            )
            for result in results:
                for destination in destinations:
                    queue_delivery(session, result.id, row.study_instance_uid, destination, actor=operator.actor)
            return Released(
                study_instance_uid=row.study_instance_uid,
                revision=row.revision,
                withheld_as=withheld.release,
                results=len(results),
                destinations=destinations,
            )


def _report(session: Session, key: str) -> ResultRow:
    """The SR of the study's newest report, or of the report that the result belongs to."""
    newest = (
        select(ResultRow).where(ResultRow.study_instance_uid == key, ResultRow.kind == "sr", ResultRow.retracted_at.is_(None))
    ).order_by(ResultRow.revision.desc())
    found = session.scalars(newest.limit(1)).one_or_none()
    if found is not None:
        return found
    one = session.scalars(select(ResultRow).where(or_(ResultRow.sop_instance_uid == key, ResultRow.id == key))).one_or_none()
    if one is None:
        raise ResultNotFoundError(key)
    return session.scalars(select(ResultRow).where(ResultRow.assessment_set == one.assessment_set, ResultRow.kind == "sr")).one()


def _checked(session: Session, row: ResultRow) -> Withheld:
    release = Release(row.release)
    if row.retracted_at is not None:
        raise ReleaseRefusedError("it was taken back")
    if release not in RELEASABLE:
        raise ReleaseRefusedError(f"it is {release}")
    later = select(ResultRow.id).where(
        ResultRow.study_instance_uid == row.study_instance_uid,
        ResultRow.kind != REJECTION,
        ResultRow.revision > row.revision,
        ResultRow.retracted_at.is_(None),
    )
    if session.scalar(later.limit(1)) is not None:
        raise ReleaseRefusedError("a newer revision stands")
    if row.purged_at is not None:
        raise ReleaseRefusedError("retention has removed its files")
    taken_back = select(ResultRow.id).where(ResultRow.sop_instance_uid == row.predecessor_uid, ResultRow.retracted_at.is_not(None))
    if row.predecessor_uid is not None and session.scalar(taken_back) is not None:
        raise ReleaseRefusedError("it names a predecessor that was taken back")
    check_not_retired(session, row.bundle_hash)
    report = session.get(ReportRow, row.assessment_set)
    return Withheld(
        study_instance_uid=row.study_instance_uid,
        revision=row.revision,
        release=release,
        routes=(row.route,) if report is None else tuple(report.routes),
        policy=Policy.ALL if report is None else Policy(report.policy),
        closed=closed_to(session, row),
    )
