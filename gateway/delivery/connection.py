"""A TCP connection to a destination: every call has a deadline, and any thread can end them all at once."""

from __future__ import annotations

import math
import socket
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final

from gateway.errors import AssociationLostError, DestinationUnreachableError, NoResponseError

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

    def write(self, content: bytes, deadline: float) -> None:
        """All of it. NoResponseError at the deadline: the peer takes nothing in; AssociationLostError when it is gone."""
        left = memoryview(content)
        try:
            while left:
                left = left[self._timed(deadline).send(left[:_AT_ONCE]) :]
        except TimeoutError as error:
            raise NoResponseError("not taken in") from error
        except OSError as error:
            raise AssociationLostError(type(error).__name__) from error

    def read(self, count: int, deadline: float) -> bytes:
        """Exactly so many bytes. NoResponseError at the deadline, AssociationLostError when the peer is gone."""
        received = bytearray()
        try:
            while len(received) < count:
                part = self._timed(deadline).recv(min(count - len(received), _AT_ONCE))
                if not part:
                    raise ConnectionResetError
                received += part
        except TimeoutError as error:
            raise NoResponseError from error
        except OSError as error:
            raise AssociationLostError(type(error).__name__) from error
        return bytes(received)

    @property
    def has_news(self) -> bool:
        """True when the peer has sent something or has gone. Does not wait."""
        if self._socket is None:
            return True
        self._socket.settimeout(0)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def cut(self) -> None:
        """From any thread: whoever waits here sees the end, and nothing more can be opened, sent or received."""
        with self._lock:
            self._is_cut = True
            if self._socket is not None:
                # also ends a connect() under way
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """By the lane's own thread."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def _timed(self, deadline: float) -> socket.socket:
        if self._socket is None or self._is_cut:
            raise ConnectionAbortedError
        self._socket.settimeout(_left(min(deadline, self.until)))
        return self._socket


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
