"""What a destination answers when it is looked at: association, presentation contexts and C-ECHO, over an association of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field

from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from gateway.config import DeliverySettings, DestinationSettings
from gateway.delivery.association import Association, Contexts
from gateway.delivery.connection import Connection
from gateway.delivery.destination_link import no_report
from gateway.delivery.verification_scu import VERIFICATION_CONTEXTS, echo
from gateway.errors import DestinationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """code: None when the association was accepted, else the DestinationError's; detail: what it said besides.

    accepted: transfer syntax by abstract syntax, of what was offered. echo_status: None when there was no C-ECHO. tls: version and cipher
    suite, None without it; certificate: the peer's, as DER.
    """

    code: str | None
    detail: str = ""
    associated_ms: float = 0.0
    accepted: Mapping[str, str] = field(default_factory=dict)
    echo_status: int | None = None
    echo_ms: float = 0.0
    tls: tuple[str, str] | None = None
    certificate: bytes | None = None


class Probe:
    """Never raises for what a peer does."""

    def __init__(self, settings: DeliverySettings) -> None:
        self._settings = settings

    def look(self, destination: DestinationSettings, contexts: Contexts) -> Probed:
        """contexts: what is offered besides Verification."""
        with closing(Connection(user_timeout_seconds=self._settings.response_seconds)) as connection:
            association = Association(destination, self._settings, connection, no_report)
            begun = time.monotonic()
            try:
                association.request({**VERIFICATION_CONTEXTS, **contexts})
            except DestinationError as error:
                return Probed(code=error.code, detail=error.detail, associated_ms=_since(begun))
            associated_ms, taken = _since(begun), association.accepted
            tls, certificate = connection.secured_by, connection.peer_certificate
            status, begun = None, time.monotonic()
            try:
                if str(Verification) in taken:
                    status = echo(association)
                echo_ms = _since(begun)
                association.release()
            except DestinationError as error:
                return Probed(code=error.code, detail=error.detail, associated_ms=associated_ms)
            return Probed(
                code=None,
                associated_ms=associated_ms,
                accepted={uid: context.transfer_syntax_uid for uid, context in taken.items()},
                echo_status=status,
                echo_ms=echo_ms,
                tls=tls,
                certificate=certificate,
            )


def _since(begun: float) -> float:
    """Milliseconds."""
    return round(1000 * (time.monotonic() - begun), 1)
