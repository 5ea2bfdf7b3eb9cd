"""Alarms that stand: one row each. Raising one again or clearing what does not stand changes nothing, so timers just say what they see."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from gateway.domain.alarm import Alarm, AlarmCode
from gateway.events import Event, log_event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.tables import AlarmRow


class Alarms:
    """Raises DatabaseUnavailableError like every writer; who raises an alarm for the database's sake must log it instead."""

    def __init__(self, database: Database, actor: str) -> None:
        self._database = database
        self._actor = actor

    def set(self, code: AlarmCode, subject: str, *, stands: bool, reason: str = "") -> bool:
        """`raise_` or `clear`, whatever was observed."""
        return self.raise_(code, subject, reason=reason) if stands else self.clear(code, subject)

    def raise_(self, code: AlarmCode, subject: str, *, reason: str = "") -> bool:
        """True when it did not stand before: then it is an audit event and a line in the log. reason: a code, see `Alarm`."""
        if self._stands(code, subject):
            return False
        try:
            with self._database.transaction() as session:
                _add(session, code, subject, actor=self._actor, reason=reason)
        except IntegrityError:
            # another process saw the same and was first
            return False
        log_event(Event.ALARM_RAISED, level="error", code=code.value, subject=subject, reason=reason or None)
        return True

    def clear(self, code: AlarmCode, subject: str) -> bool:
        """True when it stood."""
        if not self._stands(code, subject):
            return False
        with self._database.transaction() as session:
            stood = end_alarm(session, code, subject, actor=self._actor)
        if stood:
            log_event(Event.ALARM_CLEARED, code=code.value, subject=subject)
        return stood

    def standing(self) -> tuple[Alarm, ...]:
        """Oldest first."""
        with self._database.reading() as session:
            return standing_alarms(session)

    def _stands(self, code: AlarmCode, subject: str) -> bool:
        """Looked up without the write lock: most ticks change nothing."""
        with self._database.reading() as session:
            return session.get(AlarmRow, (code.value, subject)) is not None


def begin_alarm(session: Session, code: AlarmCode, subject: str, *, actor: str) -> None:
    """In a transaction that does more, under a lock that keeps others from raising the same one."""
    if session.get(AlarmRow, (code.value, subject)) is None:
        _add(session, code, subject, actor=actor, reason="")
        log_event(Event.ALARM_RAISED, level="error", code=code.value, subject=subject)


def _add(session: Session, code: AlarmCode, subject: str, *, actor: str, reason: str) -> None:
    session.add(AlarmRow(code=code, subject=subject, reason=reason, raised_by=actor, raised_at=datetime.now(UTC)))
    session.flush()
    record(session, Event.ALARM_RAISED, actor=actor, code=code.value, subject=subject, reason=reason or None)


def end_alarm(session: Session, code: AlarmCode, subject: str, *, actor: str) -> bool:
    """With its audit event, in a transaction that may do more. True when it stood."""
    standing = delete(AlarmRow).where(AlarmRow.code == code, AlarmRow.subject == subject)
    stood = session.scalar(standing.returning(AlarmRow.code)) is not None
    if stood:
        record(session, Event.ALARM_CLEARED, actor=actor, code=code.value, subject=subject)
    return stood


def standing_alarms(session: Session) -> tuple[Alarm, ...]:
    """Those that stand, oldest first."""
    rows = session.scalars(select(AlarmRow).order_by(AlarmRow.raised_at, AlarmRow.code, AlarmRow.subject))
    return tuple(
        Alarm(code=AlarmCode(row.code), subject=row.subject, reason=row.reason, raised_by=row.raised_by, raised_at=row.raised_at)
        for row in rows
    )
