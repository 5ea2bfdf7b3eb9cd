"""Whether the spool can take more in: below the reserve associations are rejected for a while, until the watermark is reached."""

from __future__ import annotations

import threading
from typing import Final

from gateway.config import SpoolSettings
from gateway.errors import GatewayError
from gateway.events import Event, log_event
from gateway.store.audit_log import AuditLog
from gateway.store.spool import Spool

_MEBIBYTE: Final = 1024 * 1024


class DiskGuard:
    """Asked at every request for an association. Each change is an audit event, the first one an alarm."""

    def __init__(self, spool: Spool, settings: SpoolSettings, audit: AuditLog) -> None:
        self._spool = spool
        self._reserve = settings.reserve_mb * _MEBIBYTE
        self._resume = (settings.reserve_mb + settings.resume_margin_mb) * _MEBIBYTE
        self._audit = audit
        self._lock = threading.Lock()
        self._refuses = False

    def accepts(self) -> bool:
        with self._lock:
            obstacle = self._spool.obstacle(self._resume if self._refuses else self._reserve)
            changed, self._refuses = self._refuses != bool(obstacle), bool(obstacle)
        if changed:
            self._tell(Event.SPOOL_REFUSES if obstacle else Event.SPOOL_ACCEPTS, obstacle)
        return not obstacle

    def _tell(self, event: Event, obstacle: str | None) -> None:
        log_event(event, level="error" if obstacle else "info", reason=obstacle)
        try:
            self._audit.record(event, reason=obstacle)
        except GatewayError as error:
            # a full disk may hold the database too: the log has it
            log_event(event, level="error", error_class=type(error).__name__)
