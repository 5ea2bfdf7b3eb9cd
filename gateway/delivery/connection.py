"""A connection to a destination, plain or TLS: every call has a deadline, and any thread can end them all at once."""

from __future__ import annotations

import math
import socket
import ssl
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final

from gateway.delivery.tls import handshake_trouble, is_alert
from gateway.errors import AssociationLostError, DestinationError, DestinationUnreachableError, NoResponseError, TlsRefusedError

_AT_ONCE: Final = 256 * 1024
"""Bytes handed to the kernel in one call."""


class Connection:
    """Made by its lane's thread; only `cut` may be called from another one.

    Deadlines are on time.monotonic(): they go on while the process is stopped, so that one that comes back late sends nothing more.
    """

    def __init__(self, *, user_timeout_seconds: float) -> None:
        self._user_timeout = user_timeout_seconds
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_cut = False
        self._ahead = b""
        """Received by `has_news`, and not read yet."""
        self.until = math.inf
        """No deadline is later."""

    def open(self, host: str, port: int, deadline: float) -> None:
        """DestinationUnreachableError when no address of the host answers in time."""
        trouble = "no address"
        deadline = min(deadline, self.until)
        addresses = _resolve(host, port, deadline)
        for number, (family, kind, protocol, _, address) in enumerate(addresses):
            # one that does not answer leaves time for the others
            share = (deadline - time.monotonic()) / (len(addresses) - number)
            try:
                self._connect(socket.socket(family, kind, protocol), address, time.monotonic() + share)
            except OSError as error:
                trouble = type(error).__name__
                self.close()
            else:
                return
        raise DestinationUnreachableError(trouble)

    def _connect(self, made: socket.socket, address: Any, deadline: float) -> None:
        with self._lock:
            self._socket = made
            if self._is_cut:
                raise ConnectionAbortedError
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # a peer that vanished without a word is found out even while nobody reads or writes
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(1000 * self._user_timeout))
        made.settimeout(_left(deadline))
        made.connect(address)

    def secure(self, context: ssl.SSLContext, peer_name: str, deadline: float) -> None:
        """TLS from here on. TlsFailedError, and the connection is closed: it never falls back to plain."""
        try:
            plain = self._timed(deadline)
            with self._lock:
                self._socket = secured = context.wrap_socket(plain, server_hostname=peer_name, do_handshake_on_connect=False)
            self._timed(deadline)
            secured.do_handshake()
        except TimeoutError as error:
            self.close()
            raise NoResponseError("TLS handshake") from error
        except (OSError, ValueError) as error:
            # ValueError: a name that cannot be asked for
            self.close()
            raise handshake_trouble(error) from error

    @property
    def secured_by(self) -> tuple[str, str] | None:
        """TLS version and cipher suite; None without TLS."""
        if not isinstance(self._socket, ssl.SSLSocket):
            return None
        cipher = self._socket.cipher()
        return self._socket.version() or "", cipher[0] if cipher else ""

    @property
    def peer_certificate(self) -> bytes | None:
        """As DER; None without TLS."""
        return self._socket.getpeercert(binary_form=True) if isinstance(self._socket, ssl.SSLSocket) else None

    def write(self, content: bytes | memoryview, deadline: float) -> None:
        """All of it. NoResponseError at the deadline: the peer takes nothing in; AssociationLostError when it is gone."""
        left = memoryview(content)
        try:
            while left:
                left = left[self._timed(deadline).send(left[:_AT_ONCE]) :]
        except TimeoutError as error:
            raise NoResponseError("not taken in") from error
        except OSError as error:
            raise self._told_before(error) from error

    def read(self, count: int, deadline: float) -> bytes:
        """Exactly so many bytes. NoResponseError at the deadline, AssociationLostError when the peer is gone."""
        received = bytearray()
        while len(received) < count:
            part = self.read_some(count - len(received), deadline)
            if not part:
                raise AssociationLostError(ConnectionResetError.__name__)
            received += part
        return bytes(received)

    def read_some(self, most: int, deadline: float) -> bytes:
        """At least one byte, none when the peer has ended the connection. The errors of `read`."""
        if self._ahead:
            part, self._ahead = self._ahead[:most], self._ahead[most:]
            return part
        try:
            return self._timed(deadline).recv(min(most, _AT_ONCE))
        except TimeoutError as error:
            raise NoResponseError from error
        except OSError as error:
            raise _lost(error) from error

    @property
    def has_news(self) -> bool:
        """True when the peer has sent something or has gone. Does not wait."""
        if self._socket is None or self._ahead:
            return True
        self._socket.settimeout(0)
        try:
            # a byte is taken, not looked at: TLS cannot do that, and has records that hold nothing for us
            self._ahead = self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError:
            return True
        return True

    def cut(self) -> None:
        """From any thread: whoever waits here sees the end, and nothing more can be opened, sent or received."""
        with self._lock:
            self._is_cut = True
            if self._socket is not None:
                # also ends a connect() under way. Not the TLS socket's own: it would let the lane's thread go on in plain
                with suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """By the lane's own thread."""
        with self._lock:
            if self._socket is not None:
                _take_leave(self._socket)
                self._socket.close()
                self._socket = None

    def _told_before(self, error: OSError) -> DestinationError:
        """A destination that refuses our certificate says so and closes, perhaps while we write: what it has said waits to be read."""
        if isinstance(self._socket, ssl.SSLSocket):
            with suppress(ValueError):
                self._socket.settimeout(0)
                try:
                    self._socket.recv(1)
                except OSError as told:
                    return _lost(told if is_alert(told) else error)
        return _lost(error)

    def _timed(self, deadline: float) -> socket.socket:
        if self._socket is None or self._is_cut:
            raise ConnectionAbortedError
        self._socket.settimeout(_left(min(deadline, self.until)))
        return self._socket


def _take_leave(connection: socket.socket) -> None:
    """close_notify (RFC 8446 6.1), if the peer takes it at once."""
    if isinstance(connection, ssl.SSLSocket):
        with suppress(OSError, ValueError):
            connection.settimeout(0)
            connection.unwrap()


def _lost(error: OSError) -> DestinationError:
    return TlsRefusedError(str(getattr(error, "reason", ""))) if is_alert(error) else AssociationLostError(type(error).__name__)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _resolve(host: str, port: int, deadline: float) -> list[Any]:
    """getaddrinfo() within a deadline: it has none of its own, so it gets a thread that may be left behind."""
    answer: SimpleQueue[list[Any]] = SimpleQueue()

    def ask() -> None:
        try:
            answer.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError:
            answer.put([])

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        return answer.get(timeout=max(0.0, deadline - time.monotonic()))
    except Empty:
        return []
