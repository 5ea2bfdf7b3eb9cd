"""One port for several receiver processes (SO_REUSEPORT): taken once, by their supervisor, before any of them listens."""

from __future__ import annotations

import errno
import socket
import threading
import time

from gateway.errors import PortTakenError
from gateway.events import Event, log_event


def reserve(host: str, port: int, *, seconds: float, stop: threading.Event) -> socket.socket:
    """A bound socket that takes no connections and keeps the port, 0 resolved, for as long as it is open.

    Somebody else's listener is waited for as long as a drained receiver may take to let go; then PortTakenError. Without this
    check a second gateway of the same user would share the port silently.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return _bind(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline or stop.is_set():
                raise PortTakenError(f"{host}:{port}, {error.strerror}") from error
            log_event(Event.ROLE_POSTPONED, level="warning", port=port, reason="port in use")
            stop.wait(0.5)


def _bind(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    with socket.socket(family, kind, protocol) as alone:
        # refused while anybody listens, also somebody who would share
        alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        alone.bind(address)
    shared = socket.socket(family, kind, protocol)
    try:
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        shared.bind(address)
    except OSError:
        shared.close()
        raise
    return shared
