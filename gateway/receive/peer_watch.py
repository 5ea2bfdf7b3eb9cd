"""What was refused or cut, told once a minute for an address and reason: a flood must not become a flood of rows."""

from __future__ import annotations

import queue
import threading
import time
from typing import Final

from gateway.errors import GatewayError
from gateway.events import ALERT_CODES, Event, log_event
from gateway.receive.limits import Cut
from gateway.store.audit_log import AuditLog

_PERIOD_SECONDS: Final = 60.0
_KNOWN: Final = 4096
_QUEUED: Final = 1024

_Key = tuple[Event, str, str]


class PeerWatch:
    """Writes from a thread of its own: neither the accept loop nor a connection waits for the database."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit
        self._told: dict[_Key, float] = {}
        self._untold: dict[_Key, int] = {}
        self._lock = threading.Lock()
        self._queue: queue.Queue[tuple[_Key, int] | None] = queue.Queue(_QUEUED)
        self._thread = threading.Thread(target=self._write, name="peer-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def refused(self, address: str, reason: Cut) -> None:
        """A connection was closed before it became an association."""
        self._tell((Event.CONNECTION_REFUSED, address, reason.value))

    def handshake_refused(self, address: str, reason: str) -> None:
        """A TLS handshake failed: a security alert. reason: of gateway.receive.tls."""
        self._tell((Event.TLS_REFUSED, address, reason))

    def cut(self, address: str, reason: Cut) -> None:
        """A connection was closed for what its peer did."""
        self._tell((Event.CONNECTION_CUT, address, reason.value))

    def close(self) -> None:
        """Tells what is left."""
        with self._lock:
            left = [(key, count) for key, count in self._untold.items() if count]
            self._untold.clear()
        for item in (*left, None):
            try:
                self._queue.put(item, timeout=1.0)
            except queue.Full:
                return
        if self._thread.is_alive():
            self._thread.join(5.0)

    def _tell(self, key: _Key) -> None:
        now = time.monotonic()
        with self._lock:
            count = self._untold.pop(key, 0) + 1
            if now - self._told.get(key, -_PERIOD_SECONDS) < _PERIOD_SECONDS:
                self._untold[key] = count
                return
            if len(self._told) >= _KNOWN:
                self._told.clear()
                self._untold.clear()
            self._told[key] = now
        try:
            self._queue.put_nowait((key, count))
        except queue.Full:
            return

    def _write(self) -> None:
        while (item := self._queue.get()) is not None:
            (event, address, reason), count = item
            told = {"peer_address": address, "reason": reason, "count": count, **(ALERT_CODES if event is Event.TLS_REFUSED else {})}
            log_event(event, level="warning", **told)
            try:
                self._audit.record(event, **told)
            except GatewayError as error:
                log_event(event, level="error", error_class=type(error).__name__)
