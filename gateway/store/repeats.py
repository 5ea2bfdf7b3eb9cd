"""Reports that were withheld since another study's had told the same, and that one was taken back (ADR 0016)."""

from __future__ import annotations

from sqlalchemy import Select, select

from gateway.domain.job import Claim
from gateway.domain.outcome import RELEASABLE_AS_SENT, Release
from gateway.domain.retraction import REJECTION
from gateway.errors import RevisionTakenError
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.job_queue import finish
from gateway.store.repeating import repeated
from gateway.store.results import check_not_retired, closed_to, queue_delivery
from gateway.store.retractions import is_retracted, lock_study
from gateway.store.tables import RecalledStudyRow, ResultRow


class Repeats:
    """Asked by the report job, which judges such a report again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def repeats_nothing(self, assessment_set: str) -> bool:
        """Withheld as a repeat of a report that was taken back since."""
        with self._database.reading() as session:
            rows = session.scalars(_withheld_repeat(assessment_set)).all()
            return bool(rows) and is_retracted(session, rows[0].repeats_uid)

    @repeated
    def judge_again(
        self, claim: Claim, assessment_set: str, release: Release, *, repeats_uid: str | None, destinations: tuple[str, ...]
    ) -> Release:
        """A report that was withheld as a repeat, and is none any more, gets the release that it would have had; and the job ends.

        Raises as `Results.commit`. RevisionTakenError also where somebody else has judged it meanwhile.
        """
        with self._database.transaction() as session:
            study = claim.study_instance_uid
            lock_study(session, study)
            rows = session.scalars(_withheld_repeat(assessment_set).order_by(ResultRow.id).with_for_update()).all()
            if not rows or is_retracted(session, repeats_uid):
                raise RevisionTakenError
            check_not_retired(session, rows[0].bundle_hash)
            if release in RELEASABLE_AS_SENT and session.get(RecalledStudyRow, study) is not None:
                release = Release.WITHHELD_RECALLED
            finish(session, claim, code=release.value, actor=claim.owner)
            report = next(row for row in rows if row.kind == "sr")
            former, closed = report.repeats_uid, closed_to(session, report)
            for row in rows:
                row.release, row.repeats_uid = release, repeats_uid if release is Release.WITHHELD_REPEAT else None
            record(
                session,
                Event.RESULT_RELEASED if release is Release.SENT else Event.RESULT_WITHHELD,
                actor=claim.owner,
                study_instance_uid=study,
                sop_instance_uid=report.sop_instance_uid,
                release=Release.WITHHELD_REPEAT.value if release is Release.SENT else release.value,
                repeats_uid=former,
                reason="retracted",
            )
            for row in rows if release is Release.SENT else ():
                for destination in (one for one in destinations if one not in closed):
                    queue_delivery(session, row.id, study, destination, actor=claim.owner)
            return release


def _withheld_repeat(assessment_set: str) -> Select[ResultRow]:
    return select(ResultRow).where(
        ResultRow.assessment_set == assessment_set,
        ResultRow.kind != REJECTION,
        ResultRow.retracted_at.is_(None),
        ResultRow.release == Release.WITHHELD_REPEAT,
        ResultRow.repeats_uid.is_not(None),
    )
