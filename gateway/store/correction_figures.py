"""Who takes how much back, by the words on images."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import func, select

from gateway.domain.correction import CaseRole
from gateway.store.database import Database
from gateway.store.tables import AssociationRow, CorrectionRow, InstanceRow

_TAKEN_BACK: Final = (CaseRole.REJECTED, CaseRole.REPLACED, CaseRole.CONTESTED, CaseRole.RESULT)


class CorrectionFigures:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def taken_back_by(self, since: datetime, *, at_least: int) -> dict[str, int]:
        """Calling AE titles whose messages have taken so many received images or results of ours back since then, with their number."""
        images = func.count(CorrectionRow.sop_instance_uid.distinct())
        counted = (
            select(AssociationRow.calling_ae_title, images)
            .select_from(CorrectionRow)
            .join(InstanceRow, InstanceRow.id == CorrectionRow.cause_instance_id)
            .join(AssociationRow, AssociationRow.id == InstanceRow.first_association_id)
            .where(CorrectionRow.noted_at >= since, CorrectionRow.applied_at.is_not(None), CorrectionRow.role.in_(_TAKEN_BACK))
            .group_by(AssociationRow.calling_ae_title)
            .having(images >= at_least)
        )
        with self._database.reading() as session:
            return {row[0]: row[1] for row in session.execute(counted)}
