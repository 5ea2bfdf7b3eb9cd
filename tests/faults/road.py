"""A bad road between the gateway and a PACS: a TCP proxy that is slow, far, lossy, or loses what comes back."""

from __future__ import annotations

import queue
import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

_SEGMENT: Final = 65536
_IN_FLIGHT: Final = 16
"""Segments of a connection that are under way in one direction."""
_SMALL_BUFFER: Final = 4096
"""Of the kernel, before a slow road: the sender feels the road and not a buffer."""


_UnderWay = queue.Queue[tuple[float, bytes | None]]
"""When it arrives, on time.monotonic(), and what; None: the end."""


@dataclass(frozen=True, slots=True)
class Condition:
    """bytes_per_second: None = as fast as it goes. loss: share of segments that come `again_seconds` later, as what TCP sends again does.

    answers_lost: the PACS's answer to the association request arrives, and nothing after it.
    """

    bytes_per_second: float | None = None
    delay_seconds: float = 0.0
    loss: float = 0.0
    again_seconds: float = 1.0
    answers_lost: bool = False


GOOD: Final = Condition()


class Road:
    """Listens on 127.0.0.1. `condition` may be changed at any time and holds for what is read from then on.

    on_bytes: called once, when the first connection has carried `after_bytes` to the PACS.
    """

    def __init__(
        self, to_port: int, condition: Condition = GOOD, *, after_bytes: int = 0, on_bytes: Callable[[], None] | None = None
    ) -> None:
        self.condition = condition
        self._to_port = to_port
        self._after_bytes, self._on_bytes = after_bytes, on_bytes
        self._random = random.Random(22)
        self._ended = threading.Event()
        self._sockets: list[socket.socket] = []
        self._listener = socket.socket()
        if condition.bytes_per_second is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(16)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for one in [self._listener, *self._sockets]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(near)
            try:
                far = socket.create_connection(("127.0.0.1", self._to_port), timeout=5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            self._sockets.append(far)
            self._carry(near, far, self._count)
            self._carry(far, near, _Answers(self).pass_on)

    def _carry(self, source: socket.socket, target: socket.socket, look: Callable[[bytes], bytes]) -> None:
        """look: what becomes of the bytes. Two threads: what is under way must not keep the next segment from being read."""
        under_way: _UnderWay = queue.Queue(_IN_FLIGHT)
        threading.Thread(target=self._read, args=(source, under_way, look), daemon=True).start()
        threading.Thread(target=self._write, args=(target, under_way), daemon=True).start()

    def _read(self, source: socket.socket, under_way: _UnderWay, look: Callable[[bytes], bytes]) -> None:
        arrives = 0.0
        while True:
            now = self.condition
            # of a slow road a tenth of a second's worth
            size = _SEGMENT if now.bytes_per_second is None else max(1, round(now.bytes_per_second / 10))
            try:
                content = source.recv(size)
            except OSError:
                content = b""
            if now.bytes_per_second is not None:
                self._ended.wait(len(content) / now.bytes_per_second)
            lost = now.again_seconds if self._random.random() < now.loss else 0.0
            # nothing overtakes
            arrives = max(arrives, time.monotonic() + now.delay_seconds + lost)
            under_way.put((arrives, look(content) if content else None))
            if not content:
                return

    def _write(self, target: socket.socket, under_way: _UnderWay) -> None:
        gone = False
        while not self._ended.is_set():
            arrives, content = under_way.get()
            self._ended.wait(max(0.0, arrives - time.monotonic()))
            if content is None:
                with suppress(OSError):
                    target.shutdown(socket.SHUT_WR)
                return
            if not gone:
                try:
                    target.sendall(content)
                except OSError:
                    # read on all the same: the other end must see the end of this one
                    gone = True

    def _count(self, content: bytes) -> bytes:
        self._after_bytes -= len(content)
        if self._after_bytes <= 0 and self._on_bytes is not None:
            act, self._on_bytes = self._on_bytes, None
            act()
        return content


class _Answers:
    """What a PACS sends over one connection."""

    def __init__(self, road: Road) -> None:
        self._road = road
        self._is_negotiated = False

    def pass_on(self, content: bytes) -> bytes:
        """All of it, or nothing but the answer to the association request, which comes alone (PS3.8 9.2)."""
        if not self._is_negotiated or not self._road.condition.answers_lost:
            self._is_negotiated = True
            return content
        return b""
