"""C-ECHO SCU: whether a destination is there (PS3.4 A). It says nothing of what the destination would store."""

from __future__ import annotations

from contextlib import closing
from typing import Final

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dimse_messages import C_ECHO_RQ
from pynetdicom.dimse_primitives import C_ECHO
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from gateway.config import DeliverySettings, DestinationSettings
from gateway.delivery.association import Association
from gateway.delivery.connection import Connection
from gateway.delivery.destination_link import no_report
from gateway.errors import ContextRefusedError, DestinationError

_SUCCESS: Final = 0x0000
VERIFICATION_CONTEXTS: Final = {Verification: (ExplicitVRLittleEndian, ImplicitVRLittleEndian)}


class VerificationScu:
    """Asks over an association of its own; never raises for what a peer does."""

    def __init__(self, settings: DeliverySettings) -> None:
        self._settings = settings

    def silence(self, destination: DestinationSettings) -> str | None:
        """None when it answered, else a code that says how not. One that refuses C-ECHO as such is there."""
        with closing(Connection(user_timeout_seconds=self._settings.response_seconds)) as connection:
            association = Association(destination, self._settings, connection, no_report)
            try:
                association.request(VERIFICATION_CONTEXTS)
                status = echo(association)
                association.release()
            except ContextRefusedError:
                association.release()
                return None
            except DestinationError as error:
                return error.code
        return None if status == _SUCCESS else f"status_{status:04x}"


def echo(association: Association) -> int:
    """The peer's status (PS3.7 9.3.5)."""
    context = association.context_for(Verification)
    request = C_ECHO()
    request.MessageID, request.AffectedSOPClassUID = association.next_message_id(), Verification
    association.send(C_ECHO_RQ(), request, context)
    response, _ = association.receive(request.MessageID, C_ECHO)
    return int(response.Status)
