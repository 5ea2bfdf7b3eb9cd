"""A TCP proxy on loopback that lets through, slows down, or swallows: a network or a server that does not do what it should."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

_CHUNK: Final = 65_536
_LOOK_SECONDS: Final = 0.05
_MOST: Final = 200
"""Connections at a time."""


class ChaosProxy:
    """delay_seconds: before each piece goes on, in either direction. stalled: nothing goes on, and nobody is told."""

    def __init__(self, port: int) -> None:
        """port: on 127.0.0.1, where everything goes."""
        self._upstream = ("127.0.0.1", port)
        self.delay_seconds = 0.0
        self._flows = threading.Event()
        self._flows.set()
        self._closed = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=_MOST)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, name="chaos", daemon=True).start()

    def stall(self) -> None:
        """Connections are taken, and their bytes kept here."""
        self._flows.clear()

    def flow(self) -> None:
        """What was kept goes on, where somebody still waits for it."""
        self._flows.set()

    def close(self) -> None:
        self._closed.set()
        self._flows.set()
        # wakes the thread that accepts
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                full = len(self._open) >= 2 * _MOST
            if full:
                client.close()
                continue
            threading.Thread(target=self._join, args=(client,), name="chaos", daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._upstream, timeout=10)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        with self._lock:
            self._open |= {client, server}
        back = threading.Thread(target=self._pump, args=(server, client), name="chaos", daemon=True)
        back.start()
        self._pump(client, server)
        back.join()
        with self._lock:
            self._open -= {client, server}
        client.close()
        server.close()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(_CHUNK):
                while not self._flows.wait(_LOOK_SECONDS):
                    pass
                time.sleep(self.delay_seconds)
                sink.sendall(content)
        # its end goes on too
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def chaos_proxy(port: int) -> Iterator[ChaosProxy]:
    proxy = ChaosProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
