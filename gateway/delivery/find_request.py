"""A C-FIND request (PS3.7 9.3.2), Study Root, and the reading of its matches."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.dimse_messages import C_FIND_RQ
from pynetdicom.dimse_primitives import C_FIND
from pynetdicom.dsutils import decode, encode

from gateway.delivery.association import Accepted, Association
from gateway.dicom.uids import STUDY_ROOT_FIND

_MEDIUM: Final = 0
FIND_PENDING: Final = (0xFF00, 0xFF01)
"""PS3.4 C.4.1.1.4: matches go on."""


@dataclass(frozen=True, slots=True)
class FindRequest:
    """One that has been sent."""

    context: Accepted
    message_id: int

    def match(self, response: Any) -> Dataset:
        """Its identifier. Raises whatever pydicom does: see `association.readable`."""
        identifier: Dataset = decode(response.Identifier, _is_implicit(self.context), is_little_endian=True)
        return identifier


def ask_find(association: Association, keys: Dataset) -> FindRequest:
    context = association.context_for(STUDY_ROOT_FIND)
    request = C_FIND()
    request.MessageID, request.Priority, request.AffectedSOPClassUID = association.next_message_id(), _MEDIUM, STUDY_ROOT_FIND
    request.Identifier = BytesIO(encode(keys, _is_implicit(context), is_little_endian=True) or b"")
    association.send(C_FIND_RQ(), request, context)
    return FindRequest(context, request.MessageID)


def _is_implicit(context: Accepted) -> bool:
    return context.transfer_syntax_uid == ImplicitVRLittleEndian
