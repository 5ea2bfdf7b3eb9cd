"""Studies of nobody that `check` sends: announced before their first image, counted as nobody's, and open until they are rejected again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, case, literal_column, select

from gateway.domain.job import JobKind, JobState
from gateway.domain.retraction import RejectionReason
from gateway.errors import NotFoundError
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.repeating import repeated
from gateway.store.retractions import retract, standing_reports
from gateway.store.tables import JobRow, PhantomStudyRow

PHANTOM: Final = "phantom"
_CAUSE: Final = "check_phantom"
_ENDED: Final = (JobState.DONE, JobState.CANCELLED)
"""A job that is held or dead may be released."""
_MAKES_RESULTS: Final = (JobKind.ANALYZE_INSTANCE, JobKind.REPORT_STUDY)
_WORDED: Final[ColumnElement[str]] = literal_column(f"'{PHANTOM}'")
"""As a literal: as a parameter PostgreSQL would not know it again in GROUP BY."""


def of_nobody(study_instance_uid: Any) -> ColumnElement[bool]:
    """Whether a study is a phantom's."""
    found: ColumnElement[bool] = study_instance_uid.in_(select(PhantomStudyRow.study_instance_uid))
    return found


def counted(study_instance_uid: Any, code: Any) -> ColumnElement[Any]:
    """A code as statistics count it: what belongs to a phantom is one, whatever became of it."""
    return case((of_nobody(study_instance_uid), _WORDED), else_=code)


class PhantomStudies:
    """Rows of `phantom_study`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def announce(self, study_instance_uid: str, *, actor: str) -> None:
        """Before anything of it is sent: a phantom that nobody announced would be taken for a patient."""
        with self._database.transaction() as session:
            row = PhantomStudyRow(study_instance_uid=study_instance_uid, actor=actor, created_at=datetime.now(UTC), rejected_at=None)
            session.add(row)
            record(session, Event.PHANTOM_ANNOUNCED, actor=actor, study_instance_uid=study_instance_uid)

    def open_since(self, before: datetime) -> tuple[str, ...]:
        """Those that were announced before then, and are not rejected again."""
        wanted = select(PhantomStudyRow.study_instance_uid).where(
            PhantomStudyRow.rejected_at.is_(None), PhantomStudyRow.created_at < before
        )
        with self._database.reading() as session:
            return tuple(session.scalars(wanted.order_by(PhantomStudyRow.created_at)))

    @repeated
    def reject(self, study_instance_uid: str, *, actor: str) -> bool:
        """Takes back every report of it, in one transaction. False: one may still come, and this has to be done again. Repeating it
        changes nothing."""
        with self._database.transaction() as session:
            row = session.get(PhantomStudyRow, study_instance_uid, with_for_update=True)
            if row is None:
                raise NotFoundError(study_instance_uid)
            # asked before the reports are: one that is committed in between is among them
            unfinished = select(JobRow.id).where(
                JobRow.study_instance_uid == study_instance_uid, JobRow.kind.in_(_MAKES_RESULTS), JobRow.state.not_in(_ENDED)
            )
            may_come = session.scalar(unfinished.limit(1)) is not None
            for assessment_set in standing_reports(session, study_instance_uid):
                retract(session, assessment_set=assessment_set, reason=RejectionReason.QUALITY, actor=actor, cause=_CAUSE)
            if may_come or row.rejected_at is not None:
                return not may_come
            row.rejected_at = datetime.now(UTC)
            record(session, Event.PHANTOM_REJECTED, actor=actor, study_instance_uid=study_instance_uid)
            return True
