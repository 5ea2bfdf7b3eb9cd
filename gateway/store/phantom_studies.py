"""Studies of nobody that `check` sends: announced before their first image, counted as nobody's, and open until they are rejected again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, case, literal_column, select

from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.tables import PhantomStudyRow

PHANTOM: Final = "phantom"
_WORDED: Final[ColumnElement[str]] = literal_column(f"'{PHANTOM}'")
"""As a literal: as a parameter PostgreSQL would not know it again in GROUP BY."""


def counted(study_instance_uid: Any, code: Any) -> ColumnElement[Any]:
    """A code as statistics count it: what belongs to a phantom is one, whatever became of it."""
    return case((study_instance_uid.in_(select(PhantomStudyRow.study_instance_uid)), _WORDED), else_=code)


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
