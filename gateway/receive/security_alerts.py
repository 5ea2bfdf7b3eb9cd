"""Refusals on record. Each is logged; the audit, which can never shrink, takes a bounded number from one address."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.errors import DatabaseUnavailableError
from gateway.events import NODE_AUTHENTICATION, SECURITY_ALERT, Event, log_event
from gateway.receive.admission import NOT_LISTED, WRONG_ADDRESS, WRONG_CERTIFICATE
from gateway.store.audit_log import AuditLog

SECURITY_REASONS: Final = frozenset({NOT_LISTED, WRONG_ADDRESS, WRONG_CERTIFICATE, "called_ae_title"})
"""Rejections of associations that are security alerts; the others are about load."""
PER_WINDOW: Final = 30
IN_ALL_PER_WINDOW: Final = 600
_WINDOW_SECONDS: Final = 60.0
_ADDRESSES: Final = 1024
_ALL: Final = "all"


@dataclass(slots=True)
class _Window:
    began: float
    recorded: int = 0
    left_out: int = 0


class SecurityAlerts:
    """Takes refusals from any thread."""

    def __init__(self, audit: AuditLog, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._audit = audit
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def association_rejected(
        self, *, reason: str, calling_ae_title: str, called_ae_title: str, peer_address: str, certificate_sha256: str | None = None
    ) -> None:
        self._record(
            Event.ASSOCIATION_REJECTED,
            peer_address,
            reason=reason,
            calling_ae_title=calling_ae_title,
            called_ae_title=called_ae_title,
            certificate_sha256=certificate_sha256,
        )

    def handshake_refused(self, *, reason: str, peer_address: str) -> None:
        self._record(Event.TLS_REFUSED, peer_address, reason=reason)

    def certificate_kept(self, *, reason: str) -> None:
        """Changed files of `[tls]` could not be taken up."""
        self._record(Event.TLS_CERTIFICATE_KEPT, "", reason=reason)

    def _record(self, event: Event, peer_address: str, *, reason: str, **identifiers: str | None) -> None:
        is_alert = event is not Event.ASSOCIATION_REJECTED or reason in SECURITY_REASONS
        codes = {"audit_code": SECURITY_ALERT, "audit_type": NODE_AUTHENTICATION} if is_alert else {}
        told = {**identifiers, **codes, "reason": reason, "peer_address": peer_address or None}
        log_event(event, level="warning", **told)
        left_out = self._admitted(peer_address)
        if left_out is None:
            return
        try:
            self._audit.record(event, **told, count=left_out or None)
        except DatabaseUnavailableError as error:
            log_event(event, level="error", error_class=type(error).__name__)

    def _admitted(self, peer_address: str) -> int | None:
        """None: this one stays out of the audit. Else how many of the address's former window stayed out."""
        now = self._clock()
        with self._lock:
            window, left_out = self._window(peer_address, now)
            total, _ = self._window(_ALL, now)
            if window.recorded >= PER_WINDOW or total.recorded >= IN_ALL_PER_WINDOW:
                window.left_out += 1
                return None
            window.recorded += 1
            total.recorded += 1
            return left_out

    def _window(self, key: str, now: float) -> tuple[_Window, int]:
        """The key's present window, and how many its former one left out if that has just ended."""
        window = self._windows.pop(key, None)
        left_out = 0
        if window is None or now - window.began >= _WINDOW_SECONDS:
            left_out = window.left_out if window is not None else 0
            window = _Window(began=now)
        self._windows[key] = window
        if len(self._windows) > _ADDRESSES:
            self._windows.popitem(last=False)
        return window, left_out
