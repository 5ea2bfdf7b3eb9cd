"""Rejected associations on record. Each is logged; the audit, which can never shrink, takes a bounded number from one address."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.errors import DatabaseUnavailableError
from gateway.events import ALERT_CODES, Event, log_event
from gateway.receive.admission import NOT_LISTED, WRONG_ADDRESS, WRONG_CERTIFICATE
from gateway.receive.tls import Kept, Loaded
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

    def tls_changed(self, change: Loaded | Kept) -> None:
        """The files of `[tls]` are in use, or changed ones could not be taken up."""
        if isinstance(change, Loaded):
            log_event(Event.TLS_CERTIFICATE_LOADED, certificate_sha256=change.certificate.sha256)
            self._write(Event.TLS_CERTIFICATE_LOADED, certificate_sha256=change.certificate.sha256)
        else:
            log_event(Event.TLS_CERTIFICATE_KEPT, level="error", reason=change.reason, **ALERT_CODES)
            self._write(Event.TLS_CERTIFICATE_KEPT, reason=change.reason, **ALERT_CODES)

    def association_rejected(
        self, *, reason: str, calling_ae_title: str, called_ae_title: str, peer_address: str, certificate_sha256: str | None = None
    ) -> None:
        told: dict[str, object] = {
            "reason": reason,
            "calling_ae_title": calling_ae_title,
            "called_ae_title": called_ae_title,
            "peer_address": peer_address,
            "certificate_sha256": certificate_sha256,
            **(ALERT_CODES if reason in SECURITY_REASONS else {}),
        }
        log_event(Event.ASSOCIATION_REJECTED, level="warning", **told)
        left_out = self._admitted(peer_address)
        if left_out is not None:
            self._write(Event.ASSOCIATION_REJECTED, **told, count=left_out + 1 if left_out else None)

    def _write(self, event: Event, **told: object) -> None:
        try:
            self._audit.record(event, **told)
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
