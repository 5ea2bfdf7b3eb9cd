"""Starts the roles, starts a dead one again with backoff, and drains them on SIGTERM."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import Any, Final

from gateway.app.metering import metrics_served
from gateway.app.preflight import prepare, without_interrupt
from gateway.app.roles import EXIT_CONFIGURATION, EXIT_DISK, Role, SharedCounts, run_role
from gateway.app.shared_port import reserve
from gateway.config import Settings
from gateway.domain.identifiers import owner_name
from gateway.errors import GatewayError
from gateway.events import Event, log_event
from gateway.receive.counts import CountTable
from gateway.store.audit_log import AuditLog
from gateway.store.database import Database
from gateway.store.job_queue import JobQueue
from gateway.workers.retry import Backoff

_STABLE_SECONDS: Final = 60.0
_FINAL: Final = (EXIT_DISK, EXIT_CONFIGURATION)
"""Exit codes after which starting the role again would not help."""


@dataclass(slots=True)
class _Slot:
    """One role's process and its history."""

    role: Role
    number: int = 0
    """Of several receivers."""
    sweeps: bool = False
    """The next process puts the spool in order: the first receiver, and every one whose predecessor has died."""
    process: BaseProcess | None = None
    started_at: float = 0.0
    deaths: int = 0
    start_at: float = field(default=0.0)


class Supervisor:
    """Runs the given roles as spawned processes until SIGTERM or SIGINT."""

    def __init__(self, settings: Settings, roles: Sequence[Role]) -> None:
        self._settings = settings
        self._slots = _slots(settings, roles)
        self._stop = threading.Event()
        self._context = multiprocessing.get_context("spawn")
        self._backoff = Backoff(first_seconds=settings.serve.restart_first_seconds, max_seconds=settings.serve.restart_max_seconds)
        self._exit_code = 0
        self._counts = CountTable(settings.receiver.processes, len(settings.peers))

    def run(self) -> int:
        """The exit code: 0 after a clean drain."""
        actor = owner_name("supervisor")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _signal, _frame: self._stop.set())
        prepare(self._settings, actor=actor)
        with self._port():
            return self._supervise(actor)

    @contextmanager
    def _port(self) -> Iterator[None]:
        """Several receivers share a port that is taken here, so that none of them waits for another's."""
        receiver = self._settings.receiver
        if receiver.processes == 1 or not any(slot.role is Role.RECEIVER for slot in self._slots):
            yield
            return
        with reserve(receiver.host, receiver.port, seconds=self._settings.serve.grace_seconds, stop=self._stop) as reserved:
            port = reserved.getsockname()[1]
            self._settings = self._settings.model_copy(update={"receiver": receiver.model_copy(update={"port": port})})
            yield

    def _supervise(self, actor: str) -> int:
        database = Database(self._settings.database.url)
        audit = AuditLog(database, actor)
        queue = JobQueue(
            database, lease_seconds=self._settings.worker.lease_seconds, max_lease_expiries=self._settings.worker.max_lease_expiries
        )
        try:
            self._record(audit, Event.GATEWAY_STARTED, config_hash=self._settings.config_hash)
            with metrics_served(self._settings, database):
                while not self._stop.is_set():
                    self._start_due()
                    self._wait()
                    self._reap(queue, audit)
            self._drain(queue)
            self._record(audit, Event.GATEWAY_STOPPED, exit_code=self._exit_code)
        finally:
            database.close()
        return self._exit_code

    def _start_due(self) -> None:
        for slot in self._slots:
            if slot.process is None and time.monotonic() >= slot.start_at:
                slot.process = self._context.Process(target=run_role, args=self._arguments(slot), name=slot.role.value)
                with without_interrupt():
                    slot.process.start()
                slot.started_at = time.monotonic()

    def _arguments(self, slot: _Slot) -> tuple[object, ...]:
        counts = SharedCounts(self._counts, slot.number) if slot.role is Role.RECEIVER else None
        return slot.role, self._settings, slot.sweeps, counts

    def _wait(self) -> None:
        sentinels = [slot.process.sentinel for slot in self._slots if slot.process is not None]
        if sentinels:
            multiprocessing.connection.wait(sentinels, timeout=0.2)
        else:
            self._stop.wait(0.2)

    def _reap(self, queue: JobQueue, audit: AuditLog) -> None:
        for slot in self._slots:
            if slot.process is None or slot.process.exitcode is None:
                continue
            code, pid = slot.process.exitcode, slot.process.pid
            slot.process.join()
            slot.process = None
            slot.sweeps = slot.role is Role.RECEIVER
            if slot.role is Role.RECEIVER:
                self._counts.clear(slot.number)
            self._take_back(queue, slot.role, pid)
            if self._stop.is_set():
                self._keep_final(code)
                continue
            self._record(audit, Event.ROLE_DIED, role=slot.role.value, exit_code=code, pid=pid)
            if code in _FINAL:
                self._exit_code = code
                self._stop.set()
                continue
            slot.deaths = 1 if time.monotonic() - slot.started_at > _STABLE_SECONDS else slot.deaths + 1
            slot.start_at = time.monotonic() + self._backoff.delay(slot.deaths, 0.0)

    def _take_back(self, queue: JobQueue, role: Role, pid: int | None) -> None:
        """A dead process's jobs go back at once, without waiting for their leases."""
        try:
            queue.expire_leases(owner=owner_name(role.value, pid))
        except GatewayError as error:
            log_event(Event.JOB_LEASE_EXPIRED, level="error", error_class=type(error).__name__)

    def _drain(self, queue: JobQueue) -> None:
        """SIGTERM to all; what has not ended within the grace period is killed: its jobs come back by their leases."""
        running = [slot for slot in self._slots if slot.process is not None]
        for slot in running:
            if slot.process is not None:
                slot.process.terminate()
        deadline = time.monotonic() + self._settings.serve.grace_seconds
        for slot in running:
            if slot.process is None:
                continue
            slot.process.join(max(0.0, deadline - time.monotonic()))
            if slot.process.exitcode is None:
                slot.process.kill()
                slot.process.join()
                self._exit_code = self._exit_code or 1
                log_event(Event.ROLE_DIED, level="error", role=slot.role.value, reason="grace period over")
            self._keep_final(slot.process.exitcode)
            self._take_back(queue, slot.role, slot.process.pid)

    def _keep_final(self, code: int | None) -> None:
        """A disk that failed while a role was draining is not a clean end."""
        if code in _FINAL:
            self._exit_code = code

    @staticmethod
    def _record(audit: AuditLog, event: Event, **identifiers: Any) -> None:
        log_event(event, **identifiers)
        try:
            audit.record(event, **identifiers)
        except GatewayError as error:
            log_event(event, level="error", error_class=type(error).__name__)


def _slots(settings: Settings, roles: Sequence[Role]) -> list[_Slot]:
    receivers = [_Slot(Role.RECEIVER, number=number, sweeps=number == 0) for number in range(settings.receiver.processes)]
    return [slot for role in roles for slot in (receivers if role is Role.RECEIVER else [_Slot(role)])]
