"""C-STORE SCU: one result to one destination."""

from __future__ import annotations

import math

from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE

from gateway.delivery.association import Association
from gateway.delivery.destination_link import DestinationLink
from gateway.delivery.link import Answered, trouble
from gateway.delivery.peer_status import verdict_for
from gateway.dicom.part10 import split_result
from gateway.domain.delivery import Verdict
from gateway.errors import ContextRefusedError, DestinationError

_MEDIUM: int = 0


class StorageScu:
    """Sends over a link; never raises for what a peer does."""

    def __init__(self, link: DestinationLink) -> None:
        self._link = link

    def send(self, content: bytes, sop_class_uid: str, sop_instance_uid: str, *, until: float = math.inf) -> Answered:
        """content: a whole DICOM file of ours. until: see `DestinationLink.ask`."""
        try:
            status = self._link.ask(
                lambda association: store(association, content, sop_class_uid, sop_instance_uid),
                until=until,
                arrived=lambda status: verdict_for(status)[0] is Verdict.SENT,
            )
        except DestinationError as error:
            return trouble(error)
        verdict, code = verdict_for(status)
        return Answered(verdict=verdict, code=code, dimse_status=status)


def store(association: Association, content: bytes, sop_class_uid: str, sop_instance_uid: str) -> int:
    """The peer's status (PS3.7 9.3.1). content: a whole DICOM file."""
    syntax, dataset = split_result(content)
    context = association.context_for(sop_class_uid)
    if context.transfer_syntax_uid != syntax:
        raise ContextRefusedError(syntax)
    request = C_STORE()
    request.MessageID, request.Priority = association.next_message_id(), _MEDIUM
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = sop_class_uid, sop_instance_uid
    request.DataSet = dataset
    association.send(C_STORE_RQ(), request, context)
    response, _ = association.receive(request.MessageID, C_STORE)
    return int(response.Status)
