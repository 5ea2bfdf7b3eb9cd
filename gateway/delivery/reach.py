"""A connection to a destination, as its table says: plain, or TLS with its name checked."""

from __future__ import annotations

import time

from gateway.config import DeliverySettings, DestinationSettings
from gateway.delivery.connection import Connection
from gateway.delivery.tls import context_of_attempt


def reach(connection: Connection, destination: DestinationSettings, settings: DeliverySettings) -> None:
    """DestinationUnreachableError, TlsFailedError or NoResponseError when nothing can be asked over it afterwards."""
    context = context_of_attempt(destination) if destination.uses_tls else None
    host, port = destination.address
    connection.open(host, port, time.monotonic() + settings.connect_seconds)
    if context is not None:
        connection.secure(context, destination.peer_name, time.monotonic() + settings.response_seconds)
