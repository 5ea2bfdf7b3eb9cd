"""The receiver as one thing: listening application entity, limits, self-check; start and drain."""

from __future__ import annotations

import threading
import time
from typing import Final

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, _config
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from gateway.config import Settings
from gateway.dicom.uids import (
    ACCEPTED_SOP_CLASSES,
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    STORAGE_COMMITMENT,
    accepted_syntaxes,
)
from gateway.domain.readiness import Cause
from gateway.errors import GatewayError
from gateway.events import Event, log_event
from gateway.receive.association import ReceiverAssociation
from gateway.receive.association_places import AssociationPlaces
from gateway.receive.catching_up import CatchingUp
from gateway.receive.commitment_scp import reports_from
from gateway.receive.counts import Counts, CountTable
from gateway.receive.disk_guard import DiskGuard
from gateway.receive.handlers import Handlers
from gateway.receive.limits import Limits
from gateway.receive.listener import Listener
from gateway.receive.memory import MemoryBudget
from gateway.receive.own_results import own_ae_titles
from gateway.receive.peer_watch import PeerWatch
from gateway.receive.security_alerts import SecurityAlerts
from gateway.receive.self_check import SelfCheck
from gateway.receive.storage_scp import StorageScp
from gateway.receive.tls import TlsContexts, identity_of
from gateway.store.audit_log import AuditLog
from gateway.store.commitment_reports import CommitmentReports
from gateway.store.receipts import Receipts
from gateway.store.spool import Spool

_END_SECONDS: Final = 5.0
_LEAST_END_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.05


class ReceiverServer:
    """C-ECHO and C-STORE SCP on one port.

    reuse_port: several processes share the port. counts: theirs and ours; None = ours alone.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        receipts: Receipts,
        audit: AuditLog,
        spool: Spool,
        reports: CommitmentReports,
        counts: Counts | None = None,
        reuse_port: bool = False,
    ) -> None:
        self._settings = settings.receiver
        self._disk = DiskGuard(spool, settings.spool, audit)
        self._audit = audit
        alerts = SecurityAlerts(audit)
        self._tls = TlsContexts(settings.tls, alerts.tls_changed)
        self._reuse_port = reuse_port
        self._counts = counts or Counts(CountTable(peers=len(settings.peers)))
        self._draining = threading.Event()
        self.failed = threading.Event()
        """Set when an fsync failed: the process must end, nothing more may be acknowledged."""
        self.stuck = threading.Event()
        """Set when the receiver does not answer its own calls: the process must end and be started anew."""
        handlers = Handlers(
            scp=StorageScp(receipts, spool, own_ae_titles=own_ae_titles(settings)),
            receipts=receipts,
            alerts=alerts,
            peers=settings.peers,
            places=AssociationPlaces(self._counts, settings.peers, settings.receiver.max_associations),
            called_ae_title=settings.receiver.ae_title if settings.receiver.require_called_ae_title else None,
            tls_identity=lambda association: identity_of(association.dul.socket.socket),
            take_report=reports_from(settings, reports),
            may_accept=self._may_accept,
            on_fatal=self.failed.set,
        )
        self._catching_up = CatchingUp(receipts, on_fatal=self.failed.set)
        self._limits = Limits.of(settings.receiver)
        self._memory = MemoryBudget(self._limits.memory, self._limits.message)
        self._watch = PeerWatch(audit)
        self._ae = _application_entity(settings, self._limits)
        self._bindings = handlers.bindings()
        self._listener: Listener | None = None
        self._self_check: SelfCheck | None = None

    def start(self) -> int:
        """Listens and returns the port. OSError when it is taken."""
        listener = self._ae.make_server(
            (self._settings.host, self._settings.port),
            evt_handlers=self._bindings,
            server_class=Listener,
            limits=self._limits,
            memory=self._memory,
            counts=self._counts,
            watch=self._watch,
            tls=self._tls.current,
            reuse_port=self._reuse_port,
        )
        self._watch.start()
        self._catching_up.start()
        threading.Thread(target=listener.serve_forever, name="receiver-listener", daemon=True).start()
        if self._settings.self_check_seconds:
            self._self_check = SelfCheck(
                listener, ae_title=self._settings.ae_title, seconds=self._settings.self_check_seconds, on_stuck=self._on_stuck
            )
            self._self_check.start()
        self._listener = listener
        port: int = listener.server_address[1]
        return port

    def take_up_certificates(self) -> None:
        """Looks for changed files of `[tls]` without waiting for the next connection, so that bad ones are told at once."""
        self._tls.current()

    def hindrances(self) -> tuple[Cause, ...]:
        """What stands against its work although it listens."""
        unanswered = self._self_check is not None and self._self_check.failures > 0
        found = {Cause.RECEIVER_NOT_ANSWERING: unanswered, Cause.SPOOL_REFUSES: not self._disk.accepts()}
        return tuple(cause for cause, stands in found.items() if stands)

    def drain(self, seconds: float, *, hand_over: bool = False) -> bool:
        """Rejects new associations (transient), waits for the open ones, closes. False when some had to be cut off.

        hand_over: stops listening at once instead of rejecting, for a successor waits for the port.
        Their ends are on record when it returns; a database that hangs is waited for a fifth of the time again, 5 s at most.
        """
        if self._self_check is not None:
            self._self_check.stop()
        if hand_over and self._listener is not None:
            self._listener.shutdown()
            self._listener = None
        else:
            self._draining.set()
        deadline = time.monotonic() + seconds
        while self._open_associations() and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        left = self._open_associations()
        if self._listener is not None:
            self._listener.shutdown()
            self._listener = None
        self._cut_off(max(_LEAST_END_SECONDS, min(_END_SECONDS, seconds / 5)))
        self._watch.close()
        return not left

    def _cut_off(self, seconds: float) -> None:
        """Closes what is still open, and waits until each association's thread has recorded its end.

        A connection that was just taken may become an association meanwhile: its thread can be seen before it can be joined.
        """
        deadline = time.monotonic() + seconds
        while (left := self._ae.every_association) and time.monotonic() < deadline:
            for association in left:
                # pynetdicom's own abort would wait for the peer
                association.dul.transport.shut()
            time.sleep(_LOOK_SECONDS)
        self._catching_up.stop(max(0.0, deadline - time.monotonic()))

    def _open_associations(self) -> list[ReceiverAssociation]:
        """Those still being negotiated count: their peers may have been told already that they are accepted."""
        return [association for association in self._ae.active_associations if association.is_alive()]

    def _may_accept(self) -> bool:
        return not self._draining.is_set() and not self.failed.is_set() and not self._memory.is_exhausted and self._disk.accepts()

    def _on_stuck(self) -> None:
        log_event(Event.RECEIVER_STUCK, level="error", port=self._settings.port)
        self.stuck.set()
        try:
            self._audit.record(Event.RECEIVER_STUCK, port=self._settings.port)
        except GatewayError as error:
            log_event(Event.RECEIVER_STUCK, level="error", error_class=type(error).__name__)


class _ApplicationEntity(AE):  # type: ignore[misc]
    """Counts associations, where pynetdicom counts connections: idle ones must not keep a sender out."""

    @property
    def every_association(self) -> list[ReceiverAssociation]:
        found: list[ReceiverAssociation] = super().active_associations
        return found

    @property
    def active_associations(self) -> list[ReceiverAssociation]:
        return [association for association in self.every_association if association.counts]


def _application_entity(settings: Settings, limits: Limits) -> _ApplicationEntity:
    # one bad UID must cost one instance, not the association; temporary files of the library would be neither durable nor ours
    _config.ENFORCE_UID_CONFORMANCE = False
    _config.UNRESTRICTED_STORAGE_SERVICE = False
    _config.STORE_RECV_CHUNKED_DATASET = False
    _config.LOG_HANDLER_LEVEL = "none"
    ae = _ApplicationEntity(ae_title=settings.receiver.ae_title)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.maximum_pdu_size = limits.pdu
    ae.maximum_associations = settings.receiver.max_associations
    ae.network_timeout = settings.receiver.idle_seconds
    ae.acse_timeout = min(15.0, settings.receiver.idle_seconds)
    ae.dimse_timeout = settings.receiver.idle_seconds
    ae.add_supported_context(Verification)
    if any(destination.commitment == "storage_commitment" for destination in settings.destinations):
        # the peer is the SCP here, and reports to us; some say so by role selection, some do not
        ae.add_supported_context(STORAGE_COMMITMENT, [ExplicitVRLittleEndian, ImplicitVRLittleEndian], scu_role=True, scp_role=True)
    for sop_class in ACCEPTED_SOP_CLASSES:
        ae.add_supported_context(sop_class, list(accepted_syntaxes(sop_class)))
    return ae
