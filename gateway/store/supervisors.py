"""What each supervisor last told of itself. One row each; a host that stopped telling is seen by how old its row is."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import delete, select

from gateway.domain.readiness import FORGOTTEN_AFTER, Cause, Hindrance, SupervisorStory
from gateway.store.database import Database
from gateway.store.tables import SupervisorRow


class Supervisors:
    def __init__(self, database: Database) -> None:
        self._database = database

    def tell(self, story: SupervisorStory, *, gone: Callable[[str], bool] = lambda _name: False) -> None:
        """Keeps what a supervisor tells of itself. gone: of a name, whether that supervisor is known to have ended uncleanly."""
        with self._database.transaction() as session:
            for row in session.scalars(select(SupervisorRow).where(SupervisorRow.name != story.name)):
                if story.seen_at - row.seen_at > FORGOTTEN_AFTER or gone(row.name):
                    session.delete(row)
            session.merge(
                SupervisorRow(
                    name=story.name,
                    host=story.host,
                    roles=list(story.roles),
                    config_hash=story.config_hash,
                    started_at=story.started_at,
                    seen_at=story.seen_at,
                    hindrances=[[one.cause.value, one.subject] for one in story.hindrances],
                )
            )

    def remove(self, name: str) -> None:
        with self._database.transaction() as session:
            session.execute(delete(SupervisorRow).where(SupervisorRow.name == name))

    def all(self) -> tuple[SupervisorStory, ...]:
        with self._database.reading() as session:
            rows = session.scalars(select(SupervisorRow).order_by(SupervisorRow.host, SupervisorRow.name))
            return tuple(_story(row) for row in rows)


def _story(row: SupervisorRow) -> SupervisorStory:
    return SupervisorStory(
        name=row.name,
        host=row.host,
        roles=tuple(row.roles),
        config_hash=row.config_hash,
        started_at=row.started_at,
        seen_at=row.seen_at,
        hindrances=tuple(Hindrance(cause=Cause(cause), subject=subject) for cause, subject in row.hindrances),
    )
