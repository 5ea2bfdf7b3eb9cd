"""The associations of processes that have died, and what those had answered while the database took nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway.domain.answered import EndedAssociation, Note, OpenedAssociation, Refusal
from gateway.store.database import Database
from gateway.store.intake_rows import PROCESS_DIED, add_association, add_refusal, end_association, end_row
from gateway.store.repeating import repeated
from gateway.store.tables import AssociationRow


class Associations:
    """Each call is one transaction, or none when there is nothing to do."""

    def __init__(self, database: Database, actor: str) -> None:
        self._database = database
        self._actor = actor

    @repeated
    def take_up(self, notes: Sequence[Note], *, owner: str | None) -> None:
        """Makes rows of what was noted, in its order; what has a row already is left alone. owner: of associations still open."""
        with self._database.transaction() as session:
            for note in notes:
                self._take_up(session, note, owner)
                session.flush()

    def _take_up(self, session: Session, note: Note, owner: str | None) -> None:
        if isinstance(note, OpenedAssociation):
            add_association(session, note, owner=owner, actor=self._actor)
        elif isinstance(note, EndedAssociation):
            end_association(session, note, actor=self._actor)
        else:
            add_refusal(session, self._of_known_association(session, note), actor=self._actor)

    @staticmethod
    def _of_known_association(session: Session, refusal: Refusal) -> Refusal:
        """There was room for the refusal, and none for the association before it: a receipt without a sender says more than none."""
        known = refusal.association_id is None or session.get(AssociationRow, refusal.association_id) is not None
        if known:
            return refusal
        return replace(refusal, association_id=None)

    def close_abandoned(self, is_living: Callable[[str], bool]) -> int:
        """Ends the associations whose process is gone, and says how many. One without a process is of a release before this."""
        with self._database.reading() as session:
            owners = session.scalars(select(AssociationRow.owner).where(AssociationRow.ended_at.is_(None)).distinct()).all()
        return sum(self._close(owner) for owner in owners if owner is None or not is_living(owner))

    @repeated
    def _close(self, owner: str | None) -> int:
        with self._database.transaction() as session:
            left = select(AssociationRow).where(AssociationRow.ended_at.is_(None), AssociationRow.owner == owner)
            rows = session.scalars(left.with_for_update(skip_locked=True)).all()
            for row in rows:
                end_row(session, row, PROCESS_DIED, datetime.now(UTC), actor=self._actor)
            return len(rows)
