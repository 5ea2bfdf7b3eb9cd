"""The three roles, each a process of its own: receiver (network in), worker (model), sender (network out)."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from gateway.config import Settings
from gateway.dicom.part10 import set_tolerant_reading
from gateway.domain.identifiers import new_id, owner_name
from gateway.domain.job import JobKind
from gateway.errors import (
    BundleError,
    ConfigurationError,
    DatabaseNotDurableError,
    GatewayError,
    IntendedUseError,
    PortTakenError,
    SchemaMismatchError,
    SpoolMissingError,
    SpoolNotDurableError,
)
from gateway.events import Event, log_event
from gateway.ops.logging import configure_logging, log_uncaught
from gateway.store.audit_log import AuditLog
from gateway.store.claimed_jobs import ClaimedJobs
from gateway.store.database import Database
from gateway.store.deliveries import Deliveries
from gateway.store.instances import Instances
from gateway.store.inventory import Inventory
from gateway.store.job_bell import job_bell
from gateway.store.job_queue import JobQueue
from gateway.store.receipts import Receipts
from gateway.store.results import Results
from gateway.store.spool import Spool
from gateway.workers.attempt import Attempts, GivesUp
from gateway.workers.retry import Backoff, RetryPolicy
from gateway.workers.worker import JobHandler, WorkerLoop

if TYPE_CHECKING:
    from gateway.receive.server import ReceiverServer

EXIT_DISK: Final = 74
"""sysexits EX_IOERR: an fsync failed; starting again would promise what the disk does not keep."""
EXIT_STUCK: Final = 75
"""sysexits EX_TEMPFAIL: the receiver did not answer its own calls; a new process may."""
EXIT_CONFIGURATION: Final = 78
"""sysexits EX_CONFIG: the role cannot start as it is configured."""


_NO_LIMIT: Final = sys.maxsize
_NOT_STARTABLE: Final = (
    BundleError,
    ConfigurationError,
    IntendedUseError,
    PortTakenError,
    SchemaMismatchError,
    SpoolMissingError,
)
"""What starting the role again cannot cure."""
_NOT_DURABLE: Final = (SpoolNotDurableError, DatabaseNotDurableError)


class Role(StrEnum):
    RECEIVER = "receiver"
    WORKER = "worker"
    SENDER = "sender"


def run_role(role: Role, settings: Settings, sweeps: bool = False) -> None:
    """A role's process: runs until SIGTERM or until its parent is gone, then drains. Exits with a code for the supervisor.

    sweeps: put the spool in order first. Of several receivers one does; the others need not wait for it.
    """
    configure_logging(settings.logging.level, role.value)
    set_tolerant_reading()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda _signal, _frame: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _watch_parent(stop)
    database = Database(settings.database.url)
    try:
        if sweeps:
            _sweep(settings, database)
        code = _RUNNERS[role](settings, database, stop)
        log_event(Event.ROLE_STOPPED, role=role.value, exit_code=code)
    except GatewayError as error:
        log_event(Event.ROLE_DIED, level="error", role=role.value, error_class=type(error).__name__, code=error.code)
        # no patient is known yet at this point: the whole text, with its remedy, may be shown
        print(f"strnet-gateway {role.value}: {error}", file=sys.stderr)  # noqa: T201
        code = EXIT_DISK if isinstance(error, _NOT_DURABLE) else EXIT_CONFIGURATION if isinstance(error, _NOT_STARTABLE) else 1
    except Exception as error:  # noqa: BLE001  a role's edge: multiprocessing would print the text, and it may quote a header
        log_uncaught(error)
        code = 1
    finally:
        database.close()
    sys.stdout.flush()
    # pynetdicom's threads are no daemons: a peer that stalls would keep a drained process alive
    os._exit(code)


def _watch_parent(stop: threading.Event) -> None:
    """A role must not outlive its supervisor, however that died."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        stop.set()

    threading.Thread(target=wait, name="parent-watch", daemon=True).start()


def _run_receiver(settings: Settings, database: Database, stop: threading.Event) -> int:
    from gateway.receive.server import ReceiverServer

    actor = owner_name(Role.RECEIVER)
    spool, audit = Spool(settings.spool.folder), AuditLog(database, actor)
    receipts = Receipts(database, actor, spool)
    server = ReceiverServer(settings, receipts=receipts, audit=audit, spool=spool, reuse_port=settings.receiver.processes > 1)
    port = _listen(server, settings, stop)
    if port is None:
        return 0
    _started(audit, Role.RECEIVER, port=port)
    while not stop.wait(0.2):
        server.take_up_certificates()
        if server.failed.is_set():
            server.drain(1.0)
            return EXIT_DISK
        if server.stuck.is_set():
            server.drain(1.0)
            return EXIT_STUCK
    server.drain(settings.serve.grace_seconds * 0.8)
    return EXIT_DISK if server.failed.is_set() else 0


def _sweep(settings: Settings, database: Database) -> None:
    from gateway.receive.sweep import sweep

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


def _run_worker(settings: Settings, database: Database, stop: threading.Event) -> int:
    from gateway.app.constancy import SELF_TEST_TICK_SECONDS, worker_self_test
    from gateway.inference.analyzer import Analyzer, open_bundle
    from gateway.inference.decoder import Decoder
    from gateway.ops.schedule import start_timers
    from gateway.routing.router import Router
    from gateway.workers.analyze_instance import AnalyzeInstance
    from gateway.workers.lanes import run_lanes
    from gateway.workers.pipeline import Pipeline
    from gateway.workers.report_study import ReportStudy

    bundle = open_bundle(settings.model.bundle)
    queue = _queue(settings, database)
    with Decoder(settings.worker, bundle.model.preprocessing) as decoder, ExitStack() as closing:
        analyzer = Analyzer(bundle, settings.model)
        spool, instances = Spool(settings.spool.folder), Instances(database)
        analyze = AnalyzeInstance(
            instances=instances,
            spool=spool,
            keep_map=lambda content: spool.write("saliency", new_id(), (content,)),
            router=Router(settings, accept_for_processing=bundle.model.preprocessing.accept_for_processing),
            decoder=decoder,
            analyzer=analyzer,
            quality=settings.quality,
            bundle_hash=bundle.identity.bundle_hash,
            shaping_hash=settings.shaping_hash,
        )
        # a decoder of their own, started with the first report: images that are hard to decode do not hold reports up
        report_decoder = Decoder(settings.worker, bundle.model.preprocessing)
        closing.callback(report_decoder.close)
        report = ReportStudy(
            instances=instances,
            results=Results(database),
            queue=queue,
            spool=spool,
            decoder=report_decoder,
            model=bundle.identity,
            settings=settings,
        )
        claimed = ClaimedJobs(queue, owner_name(Role.WORKER))
        self_test = worker_self_test(settings, database, bundle, analyze)
        timers = start_timers(queue, claimed, settings.worker.lease_seconds)
        timers.add_job(self_test.tick, "interval", seconds=SELF_TEST_TICK_SECONDS)
        _started(AuditLog(database, owner_name(Role.WORKER)), Role.WORKER, bundle_hash=bundle.identity.bundle_hash)
        attempts = _attempts(settings, queue, claimed, Role.WORKER, {JobKind.ANALYZE_INSTANCE: analyze, JobKind.REPORT_STUDY: report})
        bell = closing.enter_context(job_bell(database, queue, poll_seconds=settings.worker.poll_seconds))

        def broken() -> bool:
            return analyzer.broken or spool.broken or database.broken

        analyses = Pipeline(
            attempts=attempts,
            kind=JobKind.ANALYZE_INSTANCE,
            handler=analyze,
            bell=bell,
            batch=min(settings.worker.batch_size, analyzer.batch),
            broken=broken,
            gate=self_test,
        )
        reports = WorkerLoop(attempts=attempts, handlers={JobKind.REPORT_STUDY: report}, bell=bell, broken=broken)
        run_lanes(stop, analyses.run, reports.run)
        timers.shutdown(wait=False)
    # a failed device stays failed for this process, and so does a failed fsync: the supervisor starts another one
    return 1 if broken() else 0


def _run_sender(settings: Settings, database: Database, stop: threading.Event) -> int:
    from gateway.delivery.storage_scu import StorageScu
    from gateway.ops.schedule import start_timers
    from gateway.workers.deliver_result import DeliverResult

    queue = _queue(settings, database)
    deliver = DeliverResult(
        deliveries=Deliveries(database),
        spool=Spool(settings.spool.folder),
        scu=StorageScu(settings.delivery),
        settings=settings,
    )
    handlers: dict[JobKind, JobHandler] = {JobKind.DELIVER_RESULT: deliver}
    claimed = ClaimedJobs(queue, owner_name(Role.SENDER))
    timers = start_timers(queue, claimed, settings.worker.lease_seconds)
    _started(AuditLog(database, owner_name(Role.SENDER)), Role.SENDER)
    with job_bell(database, queue, poll_seconds=settings.worker.poll_seconds) as bell:
        attempts = _attempts(settings, queue, claimed, Role.SENDER, handlers)
        WorkerLoop(attempts=attempts, handlers=handlers, bell=bell, broken=lambda: database.broken).run(stop)
    timers.shutdown(wait=False)
    return 1 if database.broken else 0


def _queue(settings: Settings, database: Database) -> JobQueue:
    return JobQueue(database, lease_seconds=settings.worker.lease_seconds, max_lease_expiries=settings.worker.max_lease_expiries)


def _attempts(settings: Settings, queue: JobQueue, claimed: ClaimedJobs, role: Role, handlers: Mapping[JobKind, GivesUp]) -> Attempts:
    return Attempts(queue=queue, claimed=claimed, handlers=handlers, policy=_policy(settings, role))


def _policy(settings: Settings, role: Role) -> RetryPolicy:
    """A delivery is tried for days, whatever the number of attempts; deliver_result knows when it has been too long."""
    patient = settings.delivery if role is Role.SENDER else settings.worker
    return RetryPolicy(
        max_attempts=_NO_LIMIT if role is Role.SENDER else settings.worker.max_attempts,
        backoff=Backoff(first_seconds=patient.retry_first_seconds, max_seconds=patient.retry_max_seconds),
    )


def _started(audit: AuditLog, role: Role, **identifiers: Any) -> None:
    audit.record(Event.ROLE_STARTED, role=role.value, **identifiers)
    log_event(Event.ROLE_STARTED, role=role.value, pid=os.getpid(), **identifiers)


_RUNNERS: Final[dict[Role, Callable[[Settings, Database, threading.Event], int]]] = {
    Role.RECEIVER: _run_receiver,
    Role.WORKER: _run_worker,
    Role.SENDER: _run_sender,
}
