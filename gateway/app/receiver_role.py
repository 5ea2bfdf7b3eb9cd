"""The receiver: network in, spool and database."""

from __future__ import annotations

import threading
import time

from gateway.app.role import EXIT_DISK, EXIT_STUCK, Role, record_start
from gateway.config import Settings
from gateway.domain.identifiers import owner_name
from gateway.errors import PortTakenError
from gateway.events import Event, log_event
from gateway.receive.server import ReceiverServer
from gateway.receive.sweep import sweep
from gateway.store.audit_log import AuditLog
from gateway.store.commitment_reports import CommitmentReports
from gateway.store.database import Database
from gateway.store.inventory import Inventory
from gateway.store.receipts import Receipts
from gateway.store.spool import Spool


def run_receiver(settings: Settings, database: Database, stop: threading.Event) -> int:
    actor = owner_name(Role.RECEIVER)
    spool, audit = Spool(settings.spool.folder), AuditLog(database, actor)
    receipts = Receipts(database, actor, spool)
    reports = CommitmentReports(database, actor)
    server = ReceiverServer(
        settings, receipts=receipts, audit=audit, spool=spool, reports=reports, reuse_port=settings.receiver.processes > 1
    )
    port = _listen(server, settings, stop)
    if port is None:
        return 0
    record_start(audit, Role.RECEIVER, port=port)

    def broken() -> bool:
        return server.failed.is_set() or database.broken

    while not stop.wait(0.2):
        server.take_up_certificates()
        if broken():
            server.drain(1.0)
            return EXIT_DISK
        if server.stuck.is_set():
            server.drain(1.0)
            return EXIT_STUCK
    server.drain(settings.serve.grace_seconds * 0.8)
    return EXIT_DISK if broken() else 0


def sweep_spool(settings: Settings, database: Database) -> None:
    actor, spool = owner_name(Role.RECEIVER), Spool(settings.spool.folder)
    before = time.monotonic()
    swept = sweep(spool, Inventory(database, actor), Receipts(database, actor, spool))
    log_event(
        Event.SPOOL_SWEPT,
        level="warning" if swept.lost or swept.strange else "info",
        count=swept.partial + swept.adopted + swept.lost,
        duration_ms=round((time.monotonic() - before) * 1000),
        reason=f"partial {swept.partial}, adopted {swept.adopted}, lost {swept.lost}, strange {swept.strange}",
    )


def _listen(server: ReceiverServer, settings: Settings, stop: threading.Event) -> int | None:
    """The port, None when stopped before. A taken one is waited for: the receiver of a killed supervisor drains before it lets go."""
    deadline = time.monotonic() + settings.serve.grace_seconds
    while not stop.is_set():
        try:
            return server.start()
        except OSError as error:
            log_event(Event.ROLE_POSTPONED, level="warning", role=Role.RECEIVER.value, port=settings.receiver.port, reason="port in use")
            if time.monotonic() > deadline:
                raise PortTakenError(f"{settings.receiver.host}:{settings.receiver.port}, {error.strerror}") from error
            stop.wait(0.5)
    return None
