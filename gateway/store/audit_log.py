"""Writing the audit: one row per transition, in the transaction of the transition."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from gateway.events import Event, checked
from gateway.store.database import Database
from gateway.store.tables import AuditEventRow


def record(
    session: Session,
    event: Event,
    *,
    actor: str,
    instance_id: str | None = None,
    study_instance_uid: str | None = None,
    **identifiers: object,
) -> None:
    """Adds an event. Only the identifiers of gateway.events.IDENTIFIERS are taken; a free text has no place here."""
    session.add(
        AuditEventRow(
            at=datetime.now(UTC),
            actor=actor,
            event=event.value,
            instance_id=instance_id,
            study_instance_uid=study_instance_uid,
            detail=checked(dict(identifiers)),
        )
    )


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
