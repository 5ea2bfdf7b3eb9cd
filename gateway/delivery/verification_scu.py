"""C-ECHO SCU: whether a destination is there (PS3.4 A). It says nothing of what the destination would store."""

from __future__ import annotations

from typing import Final

from pynetdicom import AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from gateway.config import DeliverySettings, DestinationSettings
from gateway.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

_SUCCESS: Final = 0x0000


class VerificationScu:
    """Asks; never raises for what a peer does."""

    def __init__(self, settings: DeliverySettings) -> None:
        self._settings = settings

    def silence(self, destination: DestinationSettings) -> str | None:
        """None when it answered, else a code that says how not. One that refuses C-ECHO as such is there."""
        try:
            association = self._application_entity(destination).associate(destination.host, destination.port, ae_title=destination.ae_title)
        except OSError:
            # the host's name cannot be resolved, now
            return "no_association"
        if association.is_rejected:
            return "association_rejected"
        if not association.is_established:
            return None if association.rejected_contexts else "no_association"
        try:
            status = association.send_c_echo()
        except (ValueError, RuntimeError):
            return "association_lost"
        finally:
            if association.is_established:
                association.release()
        if "Status" not in status:
            return "no_response"
        return None if status.Status == _SUCCESS else f"status_{int(status.Status):04x}"

    def _application_entity(self, destination: DestinationSettings) -> AE:
        ae = AE(ae_title=destination.calling_ae_title)
        ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        ae.add_requested_context(Verification)
        ae.connection_timeout = self._settings.connect_seconds
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = self._settings.response_seconds
        return ae
