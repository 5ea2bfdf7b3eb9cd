"""C-FIND SCU (PS3.4 C): is a result there? For destinations that do not commit."""

from __future__ import annotations

import math
from io import BytesIO
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.dimse_messages import C_FIND_RQ
from pynetdicom.dimse_primitives import C_FIND
from pynetdicom.dsutils import decode, encode

from gateway.delivery.association import Association, readable
from gateway.delivery.destination_link import DestinationLink
from gateway.delivery.link import Answered, trouble
from gateway.dicom.uids import STUDY_ROOT_FIND
from gateway.domain.confirmation import NOT_FOUND
from gateway.domain.delivery import Verdict
from gateway.errors import AssociationLostError, DestinationError

_MEDIUM: Final = 0
_PENDING: Final = (0xFF00, 0xFF01)
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
    context = association.context_for(STUDY_ROOT_FIND)
    implicit = context.transfer_syntax_uid == ImplicitVRLittleEndian
    request = C_FIND()
    request.MessageID, request.Priority, request.AffectedSOPClassUID = association.next_message_id(), _MEDIUM, STUDY_ROOT_FIND
    request.Identifier = BytesIO(encode(keys, implicit, is_little_endian=True) or b"")
    association.send(C_FIND_RQ(), request, context)
    found: set[str] = set()
    for _ in range(_MOST_MATCHES):
        response, _context = association.receive(request.MessageID, C_FIND)
        if int(response.Status) not in _PENDING:
            return int(response.Status), frozenset(found)
        with readable("match"):
            found.add(str(decode(response.Identifier, implicit, is_little_endian=True).get("SOPInstanceUID", "")))
    raise AssociationLostError("too many matches")
