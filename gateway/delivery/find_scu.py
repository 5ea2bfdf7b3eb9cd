"""C-FIND SCU (PS3.4 C): is a result there? For destinations that do not commit."""

from __future__ import annotations

import math
from typing import Final

from pydicom.dataset import Dataset
from pynetdicom.dimse_primitives import C_FIND

from gateway.delivery.association import Association, readable
from gateway.delivery.destination_link import DestinationLink
from gateway.delivery.find_request import FIND_PENDING, ask_find
from gateway.delivery.link import Answered, trouble
from gateway.domain.confirmation import NOT_FOUND
from gateway.domain.delivery import Verdict
from gateway.errors import AssociationLostError, DestinationError

_MOST_MATCHES: Final = 100
"""One instance is asked for; a destination that ignores the keys is not listened to for long."""


class FindScu:
    """Asks over a link; never raises for what a peer does."""

    def __init__(self, link: DestinationLink) -> None:
        self._link = link

    def ask(self, study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str, *, until: float = math.inf) -> Answered:
        """SENT with code `found`: it is there. until: see `DestinationLink.ask`."""
        keys = Dataset()
        keys.QueryRetrieveLevel = "IMAGE"
        keys.StudyInstanceUID, keys.SeriesInstanceUID, keys.SOPInstanceUID = study_instance_uid, series_instance_uid, sop_instance_uid
        try:
            status, found = self._link.ask(lambda association: _find(association, keys), until=until)
        except DestinationError as error:
            return trouble(error)
        if sop_instance_uid in found:
            return Answered(verdict=Verdict.SENT, code="found", dimse_status=status)
        return Answered(verdict=Verdict.RETRY, code=NOT_FOUND if status == 0 else "find_refused", dimse_status=status)


def _find(association: Association, keys: Dataset) -> tuple[int, frozenset[str]]:
    """The final status, and the SOP Instance UIDs of all matches."""
    question = ask_find(association, keys)
    found: set[str] = set()
    for _ in range(_MOST_MATCHES):
        response, _context = association.receive(question.message_id, C_FIND)
        if int(response.Status) not in FIND_PENDING:
            return int(response.Status), frozenset(found)
        with readable("match"):
            found.add(str(question.match(response).get("SOPInstanceUID", "")))
    raise AssociationLostError("too many matches")
