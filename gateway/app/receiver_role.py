"""The receiver: network in, spool and database."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import Final

from gateway.app.role import DRAIN_SHARE, EXIT_DISK, EXIT_STUCK, Role, record_start
from gateway.app.role_line import RoleLine
from gateway.app.shared_counts import SharedCounts
from gateway.app.timers import receiver_timers
from gateway.config import Settings
from gateway.domain.identifiers import owner_name
from gateway.errors import PortTakenError
from gateway.events import Event, log_event
from gateway.receive.counts import Counts
from gateway.receive.server import ReceiverServer
from gateway.receive.sweep import settle, sweep
from gateway.store.associations import Associations
from gateway.store.audit_log import AuditLog
from gateway.store.commitment_reports import CommitmentReports
from gateway.store.database import Database
from gateway.store.inventory import Inventory
from gateway.store.process_file import ProcessFile, ProcessFiles
from gateway.store.receipts import Receipts
from gateway.store.spool import Spool

_LOOK_SECONDS: Final = 1.0
_PORT_SECONDS: Final = 0.1


def run_receiver(settings: Settings, database: Database, stop: threading.Event, line: RoleLine, counts: SharedCounts | None = None) -> int:
    actor = owner_name(Role.RECEIVER)
    spool, audit = Spool(settings.spool.folder), AuditLog(database, actor)
    with closing(ProcessFile(spool.processes)) as process:
        server = ReceiverServer(
            settings,
            receipts=Receipts(database, actor, spool, process=process),
            audit=audit,
            spool=spool,
            reports=CommitmentReports(database, actor),
            counts=Counts(counts.table, counts.row) if counts is not None else None,
            reuse_port=settings.receiver.processes > 1,
        )
        port = _listen(server, settings, stop, line)
        if port is None:
            return 0
        record_start(audit, Role.RECEIVER, line, port=port)
        with receiver_timers(settings, database):
            return _serve(server, database, stop, line, settings.serve.grace_seconds * DRAIN_SHARE)


def _serve(server: ReceiverServer, database: Database, stop: threading.Event, line: RoleLine, drain_seconds: float) -> int:
    look_at = 0.0
    while not stop.wait(0.2):
        server.take_up_certificates()
        if time.monotonic() >= look_at:
            line.hindered(server.hindrances())
            look_at = time.monotonic() + _LOOK_SECONDS
        if _has_failed(server, database):
            server.drain(1.0)
            return EXIT_DISK
        if server.stuck.is_set():
            server.drain(1.0)
            return EXIT_STUCK
    server.drain(drain_seconds, hand_over=line.handing_over.is_set())
    return EXIT_DISK if _has_failed(server, database) else 0


def _has_failed(server: ReceiverServer, database: Database) -> bool:
    return server.failed.is_set() or database.broken


def sweep_spool(settings: Settings, database: Database) -> None:
    actor, spool = owner_name(Role.RECEIVER), Spool(settings.spool.folder)
    before = time.monotonic()
    settled = settle(ProcessFiles(spool.processes), Associations(database, actor))
    swept = sweep(spool, Inventory(database, actor), Receipts(database, actor, spool))
    log_event(
        Event.SPOOL_SWEPT,
        level="warning" if swept.lost or swept.strange or settled.unreadable else "info",
        count=swept.partial + swept.adopted + swept.lost,
        duration_ms=round((time.monotonic() - before) * 1000),
        reason=f"partial {swept.partial}, adopted {swept.adopted}, lost {swept.lost}, strange {swept.strange}, "
        f"ended {settled.ended}, taken up {settled.taken_up}, unreadable {settled.unreadable}",
    )


def _listen(server: ReceiverServer, settings: Settings, stop: threading.Event, line: RoleLine) -> int | None:
    """The port, None when stopped before. A taken one is waited for: the receiver before this one may still have to let go."""
    deadline = time.monotonic() + settings.serve.grace_seconds
    told = False
    while not stop.is_set():
        try:
            return server.start()
        except OSError as error:
            if not told:
                log_event(
                    Event.ROLE_POSTPONED, level="warning", role=Role.RECEIVER.value, port=settings.receiver.port, reason="port in use"
                )
                line.standby()
                told = True
            if time.monotonic() > deadline:
                raise PortTakenError(f"{settings.receiver.host}:{settings.receiver.port}, {error.strerror}") from error
            stop.wait(_PORT_SECONDS)
    return None
