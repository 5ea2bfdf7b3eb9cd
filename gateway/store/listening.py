"""Where the receiver listens, as it told when it last started: `receiver.port = 0` leaves the choice to the system."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select

from gateway.events import Event
from gateway.store.database import Database
from gateway.store.tables import AuditEventRow

_LOOKED_AT: Final = 100
"""Starts of roles, the last ones."""


def last_receiver_port(database: Database) -> int | None:
    """None when no receiver has ever told."""
    wanted = select(AuditEventRow.detail).where(AuditEventRow.event == Event.ROLE_STARTED.value)
    with database.reading() as session:
        for detail in session.scalars(wanted.order_by(AuditEventRow.seq.desc()).limit(_LOOKED_AT)):
            if "port" in detail:
                return int(detail["port"])
    return None
