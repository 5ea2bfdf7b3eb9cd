"""A peer's connection: never blocks but on poll(), and never longer than a deadline."""

from __future__ import annotations

import math
import select
import socket
import ssl
import time
from contextlib import suppress
from typing import Any, Final

from pynetdicom.transport import AssociationSocket

from gateway.errors import PeerLimitError
from gateway.receive.limits import Cut, Limits
from gateway.receive.waking import Waker, milliseconds

_SMALL: Final = 8 * 1024
_LARGE: Final = 256 * 1024
"""Bytes asked for at once: few calls, and still within a core's cache. Only connections that send data sets get the large buffer."""
_FAREWELL: Final = 4 * 1024 * 1024
"""What is still read from a peer that was told goodbye: unread bytes would make the kernel take the goodbye back (RST)."""


class Transport(AssociationSocket):  # type: ignore[misc]
    """pynetdicom's socket wrapper over a non-blocking socket with a receive buffer. Only the upper layer's thread reads and writes."""

    def __init__(self, association: Any, connection: socket.socket, limits: Limits) -> None:
        super().__init__(association, client_socket=connection)
        self.waker = Waker()
        self._limits = limits
        self._buffer = memoryview(bytearray(_SMALL))
        self._wanted = _SMALL
        self._start = self._end = 0
        self._paused = select.poll()
        self._paused.register(self.waker, select.POLLIN)
        self._reading = select.poll()
        self._reading.register(self.waker, select.POLLIN)
        self._reading.register(connection, select.POLLIN)

    def wait(self, *, reading: bool, seconds: float | None) -> None:
        """Until somebody wakes us, the time is over or, when reading, the peer sends or goes."""
        (self._reading if reading and self.socket is not None else self._paused).poll(milliseconds(seconds))
        self.waker.clear()

    def begin(self) -> bool:
        """True when the peer has sent something that was not taken yet. Does not wait. OSError when it is gone."""
        return self._start < self._end or self._fill()

    def take(self, count: int, deadline: float) -> bytes:
        """Exactly so many bytes. PeerLimitError at the deadline (on time.monotonic()), OSError when the peer is gone."""
        taken = bytearray()
        while True:
            part = self.take_some(count - len(taken), deadline)
            if not taken and len(part) == count:
                return bytes(part)
            taken += part
            if len(taken) == count:
                return bytes(taken)

    def take_some(self, most: int, deadline: float) -> memoryview:
        """One to `most` bytes, as a view that the next call invalidates."""
        if self._start == self._end:
            self._fill_before(deadline)
        end = min(self._start + most, self._end)
        part = self._buffer[self._start : end]
        self._start = end
        return part

    def expect_much(self) -> None:
        """The peer is sending a data set."""
        self._wanted = _LARGE

    def discard_received(self) -> None:
        """Drops what has arrived, within reason."""
        self._start = self._end = 0
        left = _FAREWELL
        with suppress(OSError):
            while left > 0 and self._fill():
                left -= self._end
                self._start = self._end = 0

    def _fill_before(self, deadline: float) -> None:
        while not self._fill():
            left = deadline - time.monotonic()
            if left <= 0:
                raise PeerLimitError(Cut.PDU_DEADLINE)
            # not woken by the own side: what it has to say waits until the PDU is whole or late
            self._poll(select.POLLIN, left)

    def _fill(self) -> bool:
        """Receives into the empty buffer; False when nothing is there yet."""
        if self.socket is None:
            raise ConnectionResetError
        if len(self._buffer) < self._wanted:
            self._buffer = memoryview(bytearray(self._wanted))
        try:
            received = self.socket.recv_into(self._buffer)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        if not received:
            raise ConnectionResetError
        self._start, self._end = 0, received
        return True

    def send(self, bytestream: bytes) -> None:
        """All of it, or the connection counts as closed: a peer that takes nothing in must not hold us."""
        left, deadline = memoryview(bytestream), time.monotonic() + self._limits.pdu_seconds
        try:
            while left:
                left = left[self._send_some(left, deadline) :]
        except (OSError, PeerLimitError):
            self.event_queue.put("Evt17")

    def _send_some(self, content: memoryview, deadline: float) -> int:
        if self.socket is None:
            raise ConnectionResetError
        try:
            return int(self.socket.send(content))
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError) as blocked:
            left = deadline - time.monotonic()
            if left <= 0:
                raise PeerLimitError(Cut.PDU_DEADLINE) from blocked
            self._poll(select.POLLIN if isinstance(blocked, ssl.SSLWantReadError) else select.POLLOUT, left)
            return 0

    def _poll(self, events: int, seconds: float) -> None:
        poller = select.poll()
        poller.register(self.socket, events)
        poller.poll(math.ceil(seconds * 1000))

    @property
    def ready(self) -> bool:
        """For pynetdicom's own loop; ours asks begin()."""
        try:
            return self.begin()
        except OSError:
            self.event_queue.put("Evt17")
            return False

    def recv(self, nr_bytes: int) -> bytearray:
        """For pynetdicom's own loop; ours asks take()."""
        return bytearray(self.take(nr_bytes, time.monotonic() + self._limits.pdu_seconds))

    def shut(self) -> None:
        """From any thread: the peer sees the end, and so does whoever waits for it here."""
        connection = self.socket
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.waker.wake()

    def end(self) -> None:
        """Gives the descriptors back; for the last one who needs them."""
        self._shutdown_socket()
        self.waker.close()

    def _shutdown_socket(self) -> None:
        connection = self.socket
        if connection is None:
            return
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            connection.close()
