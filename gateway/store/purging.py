"""What retention lets go: files of studies at rest, and jobs that have ended. All other rows stay.

The rows first, in one transaction with the list of files to remove; then the files. A purge that dies between the two is finished by
the next one, and no row ever names a missing file without saying that it was purged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, or_, select, update
from sqlalchemy.orm import Session, aliased

from gateway.domain.delivery import FINISHED
from gateway.domain.job import OPEN, JobKind, JobState
from gateway.domain.outcome import InstanceState
from gateway.events import Event
from gateway.store.audit_log import entry, record, record_all
from gateway.store.database import Database
from gateway.store.file_removal import removed
from gateway.store.spool import Spool
from gateway.store.spool_binding import bound_identity
from gateway.store.steps import PurgeStep
from gateway.store.tables import AssessmentRow, DeliveryRow, FileRemovalRow, InstanceRow, JobRow, ResultRow

_DECIDED = (InstanceState.ASSESSED, InstanceState.NOT_ASSESSED, InstanceState.FAILED, InstanceState.VARIANT)


def _nothing(_step: PurgeStep) -> None:
    """What happens at a step by default."""


class Purging:
    """Each call is one bounded batch, and returns how many rows it was about; 0 = nothing is left to do."""

    def __init__(self, database: Database, spool: Spool, actor: str, *, on_step: Callable[[PurgeStep], None] = _nothing) -> None:
        self._database = database
        self._spool = spool
        self._actor = actor
        self._on_step = on_step

    def images(self, before: datetime, *, limit: int) -> int:
        """Received instances, with the Grad-CAM maps of their knees, of studies that are at rest since `before`."""
        wanted = and_(InstanceRow.purged_at.is_(None), InstanceRow.received_at < before, InstanceRow.state.in_(_DECIDED))
        conditions = (wanted, ~_in_conflict(), *_at_rest(InstanceRow.study_instance_uid, before))
        with self._database.reading() as session:
            ids = session.scalars(select(InstanceRow.id).where(*conditions).order_by(InstanceRow.received_at).limit(limit)).all()
        if not ids:
            return 0
        now = datetime.now(UTC)
        marking = update(InstanceRow).where(InstanceRow.id.in_(ids), *conditions).values(purged_at=now)
        maps = update(AssessmentRow).where(AssessmentRow.saliency_file.is_not(None), AssessmentRow.saliency_purged_at.is_(None))
        with self._database.transaction() as session:
            rows = _returned(session, marking.returning(InstanceRow.id, InstanceRow.file, InstanceRow.study_instance_uid))
            of_knees = maps.where(AssessmentRow.instance_id.in_([row.id for row in rows])).values(saliency_purged_at=now)
            drawn = _returned(session, of_knees.returning(AssessmentRow.saliency_file))
            self._mark(
                session, "images", [row.study_instance_uid for row in rows], [*(row.file for row in rows), *(row[0] for row in drawn)]
            )
        self._remove()
        return len(rows)

    def results(self, before: datetime, *, limit: int) -> int:
        """Results of studies that are at rest since `before`. What a revision needs of its predecessor stands in the row."""
        wanted = and_(ResultRow.purged_at.is_(None), ResultRow.created_at < before)
        conditions = (wanted, *_at_rest(ResultRow.study_instance_uid, before))
        with self._database.reading() as session:
            ids = session.scalars(select(ResultRow.id).where(*conditions).order_by(ResultRow.created_at).limit(limit)).all()
        if not ids:
            return 0
        marking = update(ResultRow).where(ResultRow.id.in_(ids), *conditions).values(purged_at=datetime.now(UTC))
        with self._database.transaction() as session:
            rows = _returned(session, marking.returning(ResultRow.file, ResultRow.study_instance_uid))
            self._mark(session, "results", [row.study_instance_uid for row in rows], [row.file for row in rows])
        self._remove()
        return len(rows)

    def jobs(self, before: datetime, *, limit: int) -> int:
        """Rows of jobs that are done or cancelled since before then: the audit tells what they came to."""
        ended = and_(JobRow.state.in_((JobState.DONE, JobState.CANCELLED)), JobRow.finished_at < before)
        with self._database.reading() as session:
            ids = session.scalars(select(JobRow.id).where(ended).order_by(JobRow.id).limit(limit)).all()
        if not ids:
            return 0
        with self._database.transaction() as session:
            gone = _returned(session, delete(JobRow).where(JobRow.id.in_(ids), ended).returning(JobRow.id))
            if gone:
                record(session, Event.RETENTION_PURGED, actor=self._actor, code="jobs", count=len(gone))
        return len(gone)

    def finish(self, *, limit: int = 1000) -> int:
        """Removes files that a purge before this one had listed and not removed."""
        return self._remove(limit)

    def _mark(self, session: Session, what: str, studies: Sequence[str], files: Iterable[str]) -> None:
        """One event for each study; its timeline tells that something of it went."""
        if not studies:
            return
        now = datetime.now(UTC)
        session.add_all(FileRemovalRow(file=file, decided_at=now) for file in files)
        counts = Counter(studies).items()
        purged = Event.RETENTION_PURGED
        record_all(session, *(entry(purged, actor=self._actor, study_instance_uid=uid, code=what, count=n) for uid, n in counts))

    def _remove(self, limit: int = 1000) -> int:
        if self._spool.identity() != bound_identity(self._database):
            # another spool, or none, is mounted: nothing of it is ours to remove, and what is ours only looks gone
            return 0
        with self._database.reading() as session:
            files = session.scalars(select(FileRemovalRow.file).order_by(FileRemovalRow.decided_at).limit(limit)).all()
        if not files:
            return 0
        self._on_step(PurgeStep.AFTER_MARKING)
        gone = removed(self._spool, files)
        self._on_step(PurgeStep.AFTER_REMOVAL)
        with self._database.transaction() as session:
            session.execute(delete(FileRemovalRow).where(FileRemovalRow.file.in_(gone)))
            if len(gone) < len(files):
                # to the end of the list: however many they are, the others come to their turn
                left = update(FileRemovalRow).where(FileRemovalRow.file.in_(set(files) - set(gone)))
                session.execute(left.values(decided_at=datetime.now(UTC)))
        return len(gone)


def _returned(session: Session, statement: Any) -> Sequence[Any]:
    return session.execute(statement, execution_options={"synchronize_session": False}).all()


def _at_rest(study: Any, before: datetime) -> tuple[ColumnElement[bool], ...]:
    """A study of which nothing has come since then, and nothing waits, runs, is held, is undelivered, or needs a person.

    A dead analysis is no obstacle: its image has its outcome. A dead report, delivery or confirmation is one: an operator may release
    it. A commitment is awaited as long as its confirmation is a job; once that was cancelled, or has nothing left to ask, none will come.
    """
    sibling = aliased(InstanceRow)
    needs_person = and_(JobRow.state == JobState.DEAD, JobRow.kind != JobKind.ANALYZE_INSTANCE)
    of_study = aliased(ResultRow)
    return (
        ~exists().where(JobRow.study_instance_uid == study, or_(JobRow.state.in_((*OPEN, JobState.HELD)), needs_person)),
        ~exists().where(
            sibling.study_instance_uid == study,
            or_(sibling.received_at >= before, sibling.state.in_((InstanceState.STORED, InstanceState.CONFLICT))),
        ),
        ~exists().where(
            of_study.study_instance_uid == study,
            DeliveryRow.result_id == of_study.id,
            DeliveryRow.state.not_in(FINISHED),
        ),
    )


def _in_conflict() -> ColumnElement[bool]:
    """A person has to decide between this image and another one, perhaps of another study, and needs to see both."""
    other = aliased(InstanceRow)
    return exists().where(other.sop_instance_uid == InstanceRow.sop_instance_uid, other.state == InstanceState.CONFLICT)
