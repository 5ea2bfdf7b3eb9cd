"""C-STORE SCU: one result to one destination over one association."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, build_context

from gateway.config import DeliverySettings, DestinationSettings
from gateway.delivery.peer_status import verdict_for
from gateway.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from gateway.domain.delivery import Verdict

_REJECTED_PERMANENT = 0x01


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came of a send. dimse_status: the peer's, None when it gave none."""

    verdict: Verdict
    code: str
    dimse_status: int | None = None


class StorageScu:
    """Sends; never raises for what a peer does."""

    def __init__(self, settings: DeliverySettings) -> None:
        self._settings = settings

    def send(self, destination: DestinationSettings, content: bytes, sop_class_uid: str) -> Answered:
        """content: a whole DICOM file in Explicit VR Little Endian."""
        try:
            association = self._application_entity(destination).associate(
                destination.host,
                destination.port,
                contexts=[build_context(sop_class_uid, ExplicitVRLittleEndian)],
                ae_title=destination.ae_title,
            )
        except OSError:
            # the host's name cannot be resolved, now
            return Answered(verdict=Verdict.RETRY, code="no_association")
        if association.is_rejected:
            permanent = association.acceptor.primitive.result == _REJECTED_PERMANENT
            return Answered(
                verdict=Verdict.DEAD if permanent else Verdict.RETRY,
                code="association_rejected_permanent" if permanent else "association_rejected_transient",
            )
        if not association.is_established:
            # pynetdicom aborts an association of which the peer accepted no context
            refused = bool(association.rejected_contexts)
            return (
                Answered(verdict=Verdict.DEAD, code="context_refused")
                if refused
                else Answered(verdict=Verdict.RETRY, code="no_association")
            )
        try:
            status = association.send_c_store(dcmread(BytesIO(content)))
        except (ValueError, RuntimeError):
            return Answered(verdict=Verdict.RETRY, code="association_lost")
        finally:
            if association.is_established:
                association.release()
        if "Status" not in status:
            return Answered(verdict=Verdict.RETRY, code="no_response")
        verdict, code = verdict_for(int(status.Status))
        return Answered(verdict=verdict, code=code, dimse_status=int(status.Status))

    def _application_entity(self, destination: DestinationSettings) -> AE:
        ae = AE(ae_title=destination.calling_ae_title)
        ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        ae.connection_timeout = self._settings.connect_seconds
        ae.acse_timeout = self._settings.response_seconds
        ae.dimse_timeout = self._settings.response_seconds
        ae.network_timeout = self._settings.response_seconds
        return ae
