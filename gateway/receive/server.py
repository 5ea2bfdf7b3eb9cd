"""The listening application entity: contexts, limits, start, drain."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Any, Final

from pynetdicom import AE, _config
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from gateway.config import Settings
from gateway.dicom.uids import (
    ACCEPTED_SOP_CLASSES,
    ACCEPTED_TRANSFER_SYNTAXES,
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
)
from gateway.receive.handlers import Handlers
from gateway.receive.own_results import own_ae_titles
from gateway.receive.security_alerts import SecurityAlerts
from gateway.receive.storage_scp import StorageScp
from gateway.receive.tls import identity_of
from gateway.store.audit_log import AuditLog
from gateway.store.receipts import Receipts
from gateway.store.spool import Spool

_MAXIMUM_PDU_SIZE: Final = 131072
_MEBIBYTE: Final = 1024 * 1024


class ReceiverServer:
    """C-ECHO and C-STORE SCP on one port."""

    def __init__(self, settings: Settings, *, receipts: Receipts, audit: AuditLog, spool: Spool) -> None:
        self._settings = settings.receiver
        self._reserve = settings.spool.reserve_mb * _MEBIBYTE
        self._spool = spool
        self._draining = threading.Event()
        self.failed = threading.Event()
        """Set when an fsync failed: the process must end, nothing more may be acknowledged."""
        handlers = Handlers(
            scp=StorageScp(receipts, spool, own_ae_titles=own_ae_titles(settings)),
            receipts=receipts,
            alerts=SecurityAlerts(audit),
            peers=settings.peers,
            called_ae_title=settings.receiver.ae_title if settings.receiver.require_called_ae_title else None,
            tls_identity=lambda association: identity_of(association.dul.socket.socket),
            may_accept=self._may_accept,
            on_fatal=self._fatal,
        )
        self._ae = _application_entity(settings)
        self._bindings = handlers.bindings()
        self._server: Any = None

    def start(self) -> int:
        """Listens and returns the port."""
        self._server = self._ae.start_server((self._settings.host, self._settings.port), block=False, evt_handlers=self._bindings)
        port: int = self._server.server_address[1]
        return port

    def drain(self, seconds: float) -> bool:
        """Rejects new associations (transient), waits for the open ones, closes. False when some had to be cut off."""
        self._draining.set()
        deadline = time.monotonic() + seconds
        while self._open_associations() and time.monotonic() < deadline:
            time.sleep(0.05)
        left = self._open_associations()
        for association in left:
            _cut_off(association)
        if self._server is not None:
            self._server.shutdown()
            self._server = None
        return not left

    def _open_associations(self) -> list[Any]:
        """Those still being negotiated count: their peers may have been told already that they are accepted."""
        return [association for association in self._ae.active_associations if association.is_alive() and not association.is_rejected]

    def _may_accept(self) -> bool:
        return not self._draining.is_set() and not self.failed.is_set() and self._spool.free_bytes() > self._reserve

    def _fatal(self) -> None:
        self.failed.set()


def _cut_off(association: Any) -> None:
    """Ends a connection whose peer stalls: pynetdicom's own abort would wait for that peer."""
    transport = association.dul.socket
    connection = transport.socket if transport is not None else None
    if connection is not None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def _application_entity(settings: Settings) -> AE:
    # one bad UID must cost one instance, not the association; temporary files of the library would be neither durable nor ours
    _config.ENFORCE_UID_CONFORMANCE = False
    _config.UNRESTRICTED_STORAGE_SERVICE = False
    _config.STORE_RECV_CHUNKED_DATASET = False
    _config.LOG_HANDLER_LEVEL = "none"
    ae = AE(ae_title=settings.receiver.ae_title)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.maximum_pdu_size = _MAXIMUM_PDU_SIZE
    ae.maximum_associations = settings.receiver.max_associations
    ae.network_timeout = settings.receiver.idle_seconds
    ae.acse_timeout = min(15.0, settings.receiver.idle_seconds)
    ae.dimse_timeout = settings.receiver.idle_seconds
    ae.add_supported_context(Verification)
    for sop_class in ACCEPTED_SOP_CLASSES:
        ae.add_supported_context(sop_class, list(ACCEPTED_TRANSFER_SYNTAXES))
    return ae
