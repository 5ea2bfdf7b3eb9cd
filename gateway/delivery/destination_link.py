"""A lane's way to a destination that speaks DIMSE: an association that is kept for what follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from gateway.config import DeliverySettings, DestinationSettings
from gateway.delivery.association import Association, Contexts
from gateway.delivery.circuit_breaker import CircuitBreaker
from gateway.delivery.connection import Connection
from gateway.delivery.link import Link
from gateway.dicom.uids import RESULT_SOP_CLASSES, STORAGE_COMMITMENT, STUDY_ROOT_FIND
from gateway.errors import AssociationLostError

_RESULTS: Final = {uid: [ExplicitVRLittleEndian] for uid in sorted(RESULT_SOP_CLASSES)}
_CONFIRMING: Final[dict[str, Contexts]] = {
    "none": {},
    "storage_commitment": {STORAGE_COMMITMENT: [ExplicitVRLittleEndian, ImplicitVRLittleEndian]},
    "find": {STUDY_ROOT_FIND: [ExplicitVRLittleEndian, ImplicitVRLittleEndian]},
}


def no_report(_primitive: Any, _transfer_syntax_uid: str) -> Any:
    """For a link over which no commitment is asked for: whatever the peer reports by itself ends the association."""
    raise AssociationLostError("unasked report")


class DestinationLink(Link[Association]):
    """on_report: see `Association`; the rest: see `Link`."""

    def __init__(
        self,
        destination: DestinationSettings,
        settings: DeliverySettings,
        breaker: CircuitBreaker,
        *,
        on_report: Callable[[Any, str], Any] = no_report,
        on_recovered: Callable[[], None] = lambda: None,
        on_left_alone: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(destination, settings, breaker, on_recovered=on_recovered, on_left_alone=on_left_alone)
        self._on_report = on_report

    def _made(self, connection: Connection) -> Association:
        return Association(self._destination, self._settings, connection, self._on_report)

    def _begin(self, talk: Association) -> None:
        talk.request({**_RESULTS, **_CONFIRMING[self._destination.commitment]})
