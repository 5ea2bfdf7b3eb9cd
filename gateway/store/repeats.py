"""Reports that were withheld because another one had told as much, after that one was taken back: now they have to tell it."""

from __future__ import annotations

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, aliased

from gateway.domain.job import Claim
from gateway.domain.outcome import RELEASABLE_AS_SENT, Release
from gateway.domain.retraction import REJECTION
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.job_queue import finish
from gateway.store.new_deliveries import check_not_retired, closed_to, queue_delivery
from gateway.store.repeating import repeated
from gateway.store.retractions import lock_study
from gateway.store.tables import RecalledStudyRow, ResultRow


class Repeats:
    """Each call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def is_void(self, assessment_set: str) -> bool:
        """True for a study's newest report, withheld as a repeat of one that does not stand any more."""
        with self._database.reading() as session:
            return _void(session, assessment_set) is not None

    @repeated
    def judge_again(
        self, claim: Claim, assessment_set: str, release: Release, *, repeats_uid: str | None, destinations: tuple[str, ...]
    ) -> Release | None:
        """Gives it this release, with its deliveries, and ends the job; of a recalled study nothing goes out. repeats_uid: of a report
        that stands and has told as much, where release says so. None: nothing to judge.
        """
        with self._database.transaction() as session:
            lock_study(session, claim.study_instance_uid)
            row = _void(session, assessment_set)
            if row is None or release not in (*RELEASABLE_AS_SENT, Release.WITHHELD_REPEAT):
                return None
            closed = closed_to(session, row)
            destinations = tuple(name for name in destinations if name not in closed)
            if not destinations:
                return None
            former = row.repeats_uid
            check_not_retired(session, row.bundle_hash)
            if release in RELEASABLE_AS_SENT and session.get(RecalledStudyRow, claim.study_instance_uid) is not None:
                release = Release.WITHHELD_RECALLED
            finish(session, claim, code=release.value, actor=claim.owner)
            results = session.scalars(_of_set(assessment_set).with_for_update()).all()
            for result in results:
                result.release, result.repeats_uid = release, repeats_uid if release is Release.WITHHELD_REPEAT else None
            record(
                session,
                Event.RESULT_RELEASED if release is Release.SENT else Event.RESULT_WITHHELD,
                actor=claim.owner,
                study_instance_uid=claim.study_instance_uid,
                sop_instance_uid=row.sop_instance_uid,
                release=Release.WITHHELD_REPEAT.value if release is Release.SENT else release.value,
                repeats_uid=former,
                reason="retracted",
            )
            if release is Release.SENT:
                for result in results:
                    for destination in destinations:
                        queue_delivery(session, result.id, claim.study_instance_uid, destination, actor=claim.owner)
            return release


def _void(session: Session, assessment_set: str) -> ResultRow | None:
    """Its SR."""
    told, newer = aliased(ResultRow), aliased(ResultRow)
    row = session.scalar(
        _of_set(assessment_set).where(
            ResultRow.kind == "sr",
            ResultRow.release == Release.WITHHELD_REPEAT,
            ResultRow.retracted_at.is_(None),
            ResultRow.purged_at.is_(None),
        )
    )
    if row is None:
        return None
    is_taken_back = select(told.id).where(told.sop_instance_uid == row.repeats_uid, told.retracted_at.is_not(None))
    is_old = select(newer.id).where(
        newer.study_instance_uid == row.study_instance_uid,
        newer.kind == "sr",
        newer.revision > row.revision,
        newer.retracted_at.is_(None),
    )
    if session.scalar(is_taken_back.limit(1)) is None or session.scalar(is_old.limit(1)) is not None:
        return None
    return row


def _of_set(assessment_set: str) -> Select[ResultRow]:
    return select(ResultRow).where(ResultRow.assessment_set == assessment_set, ResultRow.kind != REJECTION).order_by(ResultRow.id)
