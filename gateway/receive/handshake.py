"""A new connection made ready: socket options, and TLS with a deadline in the connection's own thread."""

from __future__ import annotations

import select
import socket
import ssl
import time
from typing import Final

from gateway.errors import PeerLimitError
from gateway.receive.limits import Cut
from gateway.receive.waking import wait_for

_KEEPALIVE_IDLE_SECONDS: Final = 30
_KEEPALIVE_INTERVAL_SECONDS: Final = 10
_KEEPALIVE_PROBES: Final = 3
_UNACKNOWLEDGED_MILLISECONDS: Final = 60_000
"""TCP_USER_TIMEOUT: what we sent must be acknowledged by the peer's kernel within this."""


def set_options(connection: socket.socket) -> None:
    """Non-blocking; small answers at once; a peer that vanished is noticed by the kernel."""
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_INTERVAL_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_PROBES)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MILLISECONDS)


def secure(connection: socket.socket, context: ssl.SSLContext, seconds: float) -> ssl.SSLSocket:
    """The server's side of a TLS handshake over a non-blocking socket.

    PeerLimitError when it fails or is not done in time; the connection is then the caller's to close.
    """
    deadline = time.monotonic() + seconds
    try:
        # a private copy of the descriptor would stay open: wrap_socket detaches the given one
        secured = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
    except (OSError, ValueError) as error:
        raise PeerLimitError(Cut.TLS_HANDSHAKE) from error
    try:
        _shake_hands(secured, deadline)
    except (OSError, ValueError, PeerLimitError) as error:
        secured.close()
        raise PeerLimitError(Cut.TLS_HANDSHAKE) from error
    return secured


def _shake_hands(connection: ssl.SSLSocket, deadline: float) -> None:
    while True:
        try:
            connection.do_handshake()
        except ssl.SSLWantReadError:
            events = select.POLLIN
        except ssl.SSLWantWriteError:
            events = select.POLLOUT
        else:
            return
        left = deadline - time.monotonic()
        if left <= 0 or not wait_for(connection.fileno(), events, left):
            raise PeerLimitError(Cut.TLS_HANDSHAKE)
