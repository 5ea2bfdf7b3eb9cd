"""Writing the audit: one row per transition, in the transaction of the transition."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, cast

from sqlalchemy import Table, insert
from sqlalchemy.orm import Session

from gateway.events import Event, checked
from gateway.store.database import Database
from gateway.store.tables import AuditEventRow

_INSERT: Final = insert(cast("Table", AuditEventRow.__table__))


def entry(
    event: Event, *, actor: str, instance_id: str | None = None, study_instance_uid: str | None = None, **identifiers: object
) -> dict[str, Any]:
    """An event's row. Only the identifiers of gateway.events.IDENTIFIERS are taken; a free text has no place here."""
    return {
        "at": datetime.now(UTC),
        "actor": actor,
        "event": event.value,
        "instance_id": instance_id,
        "study_instance_uid": study_instance_uid,
        "detail": checked(dict(identifiers)),
    }


def record_all(session: Session, *entries: dict[str, Any]) -> None:
    """Adds events in one statement."""
    session.execute(_INSERT, entries)


def record(
    session: Session,
    event: Event,
    *,
    actor: str,
    instance_id: str | None = None,
    study_instance_uid: str | None = None,
    **identifiers: object,
) -> None:
    """Adds an event, see `entry`."""
    session.add(AuditEventRow(**entry(event, actor=actor, instance_id=instance_id, study_instance_uid=study_instance_uid, **identifiers)))


class AuditLog:
    """Events that stand alone: starts, stops, refusals."""

    def __init__(self, database: Database, actor: str) -> None:
        self._database = database
        self._actor = actor

    def record(self, event: Event, **identifiers: object) -> None:
        instance_id, study = identifiers.pop("instance_id", None), identifiers.pop("study_instance_uid", None)
        with self._database.transaction() as session:
            record(
                session,
                event,
                actor=self._actor,
                instance_id=str(instance_id) if instance_id else None,
                study_instance_uid=str(study) if study else None,
                **identifiers,
            )
