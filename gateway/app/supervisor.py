"""Starts the roles, starts a dead one again with backoff, takes up a changed configuration on SIGHUP, and drains on SIGTERM."""

from __future__ import annotations

import multiprocessing.connection
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from gateway.app.changes import touched_roles
from gateway.app.database_wait import DatabaseWait
from gateway.app.metering import served
from gateway.app.preflight import prepare
from gateway.app.readiness import Readiness
from gateway.app.reload import HangUps, accepted
from gateway.app.role import EXIT_ANEW, EXIT_CONFIGURATION, EXIT_DISK, Role
from gateway.app.role_process import RoleProcess
from gateway.app.roll import Roll
from gateway.app.shared_port import reserve
from gateway.app.slot import Slot, slots_for
from gateway.config import Settings
from gateway.domain.alarm import AlarmCode
from gateway.domain.identifiers import owner_name
from gateway.domain.readiness import Cause, Hindrance
from gateway.errors import (
    BundleError,
    BundleRetiredError,
    ConfigurationError,
    DatabaseDamagedError,
    GatewayError,
    IntendedUseError,
    PortTakenError,
    SchemaMismatchError,
)
from gateway.events import Event, Level, log_event
from gateway.ops.logging import configure_logging
from gateway.store.audit_log import AuditLog
from gateway.store.database import Database
from gateway.store.job_queue import JobQueue

_FINAL: Final = (EXIT_DISK, EXIT_CONFIGURATION)
"""Exit codes after which starting the role again would not help."""
_ENDS_AS_ASKED: Final = (0, EXIT_ANEW, -signal.SIGTERM, *_FINAL)
"""Of a role that was asked to end. SIGTERM ends one that has not begun; the disk's failure or its refusal it tells itself."""
_FOR_A_PERSON: Final = (BundleError, BundleRetiredError, DatabaseDamagedError, IntendedUseError, PortTakenError, SchemaMismatchError)
"""Refusals of the start that starting again cannot cure; a spool that is missing may be a mount that comes late."""
_ROUND_SECONDS: Final = 0.2
_DRAIN_LOOK_SECONDS: Final = 5.0


class Supervisor:
    """Runs the given roles as spawned processes until SIGTERM or SIGINT."""

    def __init__(self, settings: Settings, roles: Sequence[Role], read: Callable[[], Settings]) -> None:
        """read: the configuration as it lies there now."""
        self._loaded = self._before = settings
        self._roles = roles
        self._read = read
        self._port_taken: int | None = None
        self._slots = slots_for(settings, roles)
        self._stop = threading.Event()
        self._exit_code = 0
        self._deaths: Counter[str] = Counter()
        self._refused = False
        self._asked_by = ""

    def run(self) -> int:
        """The exit code: 0 after a clean drain, 78 where the start is refused and starting again cannot cure it.

        Raises ConfigurationError, SpoolMissingError and its like, and DatabaseUnavailableError of a database that is there and refuses us.
        """
        hang_ups = HangUps()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _signal, _frame: self._stop.set())
        try:
            return self._run(hang_ups)
        except _FOR_A_PERSON as error:
            # no patient is known yet at this point: the whole text, with its remedy, may be shown
            print(f"strnet-gateway: {error}", file=sys.stderr)  # noqa: T201
            return 0 if self._stop.is_set() else EXIT_CONFIGURATION

    def _run(self, hang_ups: HangUps) -> int:
        if not DatabaseWait(self._loaded, self._stop).until_done(lambda: prepare(self._loaded, actor=owner_name("supervisor"))):
            return 0
        hang_ups.listen()
        with self._port():
            return self._supervise(hang_ups)

    @contextmanager
    def _port(self) -> Iterator[None]:
        """Several receivers share a port that is taken here, so that none of them waits for another's."""
        receiver = self._loaded.receiver
        if receiver.processes == 1 or Role.RECEIVER not in self._roles:
            yield
            return
        with reserve(receiver.host, receiver.port, seconds=self._loaded.serve.grace_seconds, stop=self._stop) as reserved:
            self._port_taken = reserved.getsockname()[1]
            yield

    def _effective(self) -> Settings:
        """The configuration with the port that was taken."""
        if self._port_taken is None:
            return self._loaded
        return self._loaded.model_copy(update={"receiver": self._loaded.receiver.model_copy(update={"port": self._port_taken})})

    def _supervise(self, hang_ups: HangUps) -> int:
        database = Database(self._loaded.database.url)
        self._audit = AuditLog(database, owner_name("supervisor"))
        self._database = database
        self._roll = Roll(self._effective())
        self._readiness = Readiness(database, [slot.name for slot in self._slots])
        try:
            self._record(self._audit, Event.GATEWAY_STARTED, config_hash=self._loaded.config_hash)
            self._readiness.start()
            with served(lambda: self._loaded, database, self._readiness, lambda: self._deaths):
                while not self._stop.is_set():
                    self._round(hang_ups)
                self._readiness.say((Hindrance(cause=Cause.DRAINING),), frozenset(), self._loaded.config_hash)
                self._drain()
            self._record(self._audit, Event.GATEWAY_STOPPED, exit_code=self._exit_code)
            self._readiness.close()
        finally:
            database.close()
        return self._exit_code

    def _round(self, hang_ups: HangUps) -> None:
        actor = hang_ups.take()
        if actor is not None:
            self._reload(actor)
        self._roll.step(self._slots)
        for slot in self._slots:
            slot.start_if_due(self._roll.settings)
        self._wait()
        self._look_after()
        self._say()

    def _wait(self) -> None:
        waitables = [one for slot in self._slots for process in slot.processes for one in process.waitables]
        if waitables:
            multiprocessing.connection.wait(waitables, timeout=_ROUND_SECONDS)  # type: ignore[arg-type]
        else:
            self._stop.wait(_ROUND_SECONDS)

    def _look_after(self) -> None:
        for slot in self._slots:
            for process in tuple(slot.processes):
                process.hear()
                process.kill_when_late()
                if process.exit_code is not None:
                    self._ended(slot, process, process.exit_code)
            if slot.process is not None and slot.process.was_ready:
                slot.crash_loop.lives(time.monotonic(), self._roll.settings.serve)

    def _ended(self, slot: Slot, process: RoleProcess, code: int) -> None:
        unasked = slot.ended(process)
        self._take_back(process)
        if self._stop.is_set() or not unasked:
            self._keep_final(code)
            if code in _FINAL:
                self._stop.set()
            if self._tell_death(slot, process) and self._stop.is_set():
                self._exit_code = self._exit_code or 1
            return
        if code == EXIT_ANEW:
            slot.forgive()
            return
        self._record(self._audit, Event.ROLE_DIED, role=slot.role.value, exit_code=code, pid=process.pid)
        self._deaths[slot.name] += 1
        if code == EXIT_CONFIGURATION and not process.was_ready and self._go_back(slot):
            return
        if code in _FINAL:
            self._exit_code = code
            self._stop.set()
            return
        slot.died(process, self._roll.settings)

    def _take_back(self, process: RoleProcess) -> None:
        """A dead process's jobs go back at once, without waiting for their leases."""
        worker = self._loaded.worker
        queue = JobQueue(self._database, lease_seconds=worker.lease_seconds, max_lease_expiries=worker.max_lease_expiries)
        try:
            queue.expire_leases(owner=process.owner)
        except GatewayError as error:
            log_event(Event.JOB_LEASE_EXPIRED, level="error", error_class=type(error).__name__)

    def _say(self) -> None:
        hindrances = [one for slot in self._slots for one in slot.hindrances()]
        looping = [slot.subject for slot in self._slots if slot.crash_loop.standing]
        hindrances += [Hindrance(cause=Cause.CRASH_LOOP, subject=subject) for subject in looping]
        alarms = {(AlarmCode.CRASH_LOOP, subject) for subject in looping}
        if self._refused:
            alarms.add((AlarmCode.CONFIGURATION_REFUSED, socket.gethostname()))
        self._readiness.say(hindrances, frozenset(alarms), self._loaded.config_hash)

    def _reload(self, actor: str) -> None:
        before = self._loaded
        try:
            after = accepted(self._read, before, self._roles, actor=actor)
        except GatewayError as error:
            self._reject(error, actor)
            return
        roles = sorted(touched_roles(before, after) & set(self._roles))
        reason = ",".join(roles) or ("supervisor" if after != before else "unchanged")
        self._loaded, self._refused, self._asked_by = after, False, actor
        self._record(
            AuditLog(self._database, actor),
            Event.CONFIG_RELOADED,
            former_config_hash=before.config_hash,
            config_hash=after.config_hash,
            reason=reason,
        )
        configure_logging(after.logging.level, "supervisor")
        if after != before:
            self._before = self._before if self._roll.is_on_trial else before
            self._roll.begin(self._effective(), self._slots)

    def _reject(self, error: GatewayError, actor: str) -> None:
        """The whole text, with its remedy, may be shown: no patient is in a configuration. The audit takes codes and keys."""
        print(f"strnet-gateway: configuration kept as it was: {error}", file=sys.stderr)  # noqa: T201
        self._refused = True
        keys = ",".join(error.keys) if isinstance(error, ConfigurationError) else ""
        self._record(
            AuditLog(self._database, actor),
            Event.CONFIG_REJECTED,
            level="error",
            config_hash=self._loaded.config_hash,
            error_class=type(error).__name__,
            reason=keys or None,
        )

    def _go_back(self, slot: Slot) -> bool:
        """True when a role refused settings that were on trial: those before are in force again."""
        if self._roll.go_back(self._slots) is None:
            return False
        self._loaded, self._refused = self._before, True
        self._record(
            AuditLog(self._database, self._asked_by),
            Event.CONFIG_REJECTED,
            level="error",
            config_hash=self._loaded.config_hash,
            role=slot.role.value,
            exit_code=EXIT_CONFIGURATION,
        )
        return True

    def _drain(self) -> None:
        """SIGTERM to all; what has not ended within the grace period is killed: its jobs come back by their leases."""
        running = [(slot, process) for slot in self._slots for process in slot.processes]
        for _, process in running:
            process.end()
        deadline = time.monotonic() + self._loaded.serve.grace_seconds
        for slot, process in running:
            self._wait_for(process, deadline)
            process.kill_when_late()
            self._keep_final(process.exit_code)
            if self._tell_death(slot, process):
                self._exit_code = self._exit_code or 1
            self._take_back(process)
            process.close()

    def _tell_death(self, slot: Slot, process: RoleProcess) -> bool:
        """True when one that was asked to end died instead of draining."""
        died = process.exit_code not in _ENDS_AS_ASKED
        if died:
            reason = "grace period over" if process.was_late else None
            identifiers = {"role": slot.role.value, "exit_code": process.exit_code, "pid": process.pid, "reason": reason}
            self._record(self._audit, Event.ROLE_DIED, level="error", **identifiers)
        return died

    def _wait_for(self, process: RoleProcess, deadline: float) -> None:
        """A long drain is no reason to be killed by whoever asks whether the supervisor lives."""
        while process.exit_code is None and time.monotonic() < deadline:
            self._readiness.lives()
            process.wait(min(_DRAIN_LOOK_SECONDS, deadline - time.monotonic()))
        self._readiness.lives()

    def _keep_final(self, code: int | None) -> None:
        """A disk that failed while a role was draining is not a clean end."""
        if code in _FINAL:
            self._exit_code = code

    @staticmethod
    def _record(audit: AuditLog, event: Event, *, level: Level = "info", **identifiers: Any) -> None:
        log_event(event, level=level, **identifiers)
        try:
            audit.record(event, **identifiers)
        except GatewayError as error:
            log_event(event, level="error", error_class=type(error).__name__)
