"""The sender: network out. Every destination has lanes, associations and a circuit breaker of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from gateway.app.destination_ways import Way, way_to
from gateway.app.job_roles import attempts_of, queue_of
from gateway.app.role import DRAIN_SHARE, Role, record_start
from gateway.app.role_line import RoleLine
from gateway.app.timers import sender_timers
from gateway.app.unknown_lane import OnceAllAgree
from gateway.config import DestinationSettings, Settings
from gateway.delivery.circuit_breaker import CircuitBreaker
from gateway.domain.confirmation import CommitmentReport, ReportAnswer
from gateway.domain.delivery import NOT_TALKED_TO
from gateway.domain.identifiers import owner_name
from gateway.domain.job import SENDERS_KINDS, JobKind
from gateway.errors import DatabaseUnavailableError
from gateway.events import Event, log_event
from gateway.store.audit_log import AuditLog
from gateway.store.claimed_jobs import ClaimedJobs
from gateway.store.commitment_reports import CommitmentReports
from gateway.store.confirmations import Confirmations
from gateway.store.database import Database
from gateway.store.deliveries import Deliveries
from gateway.store.job_bell import JobBell, job_bell
from gateway.store.job_queue import JobQueue
from gateway.store.spool import Spool
from gateway.store.supervisors import Supervisors
from gateway.workers.confirm_delivery import ConfirmDelivery
from gateway.workers.deliver_result import DeliverResult
from gateway.workers.lanes import run_lanes
from gateway.workers.worker import JobHandler, WorkerLoop

_OF_GRACE: Final = 0.5
"""Of `serve.grace_seconds`: what has not been sent by then is ended, so that its attempt is still recorded."""


def run_sender(settings: Settings, database: Database, stop: threading.Event, line: RoleLine) -> int:
    queue = queue_of(settings, database)
    claimed = ClaimedJobs(queue, owner_name(Role.SENDER))
    with sender_timers(settings, database, queue, claimed), job_bell(database, queue, poll_seconds=settings.worker.poll_seconds) as bell:
        sender = _Sender(settings, database, queue, claimed, bell)
        lanes = [*sender.lanes()]
        record_start(AuditLog(database, owner_name(Role.SENDER)), Role.SENDER, line)
        done = threading.Event()
        ending = threading.Thread(target=_end_in_time, args=(stop, done, settings, lanes), name="sender-end", daemon=True)
        ending.start()
        in_time = run_lanes(stop, _wait, *(lane.run for lane in lanes), grace_seconds=settings.serve.grace_seconds * DRAIN_SHARE)
        done.set()
        if not in_time:
            attempts_of(settings, queue, claimed, Role.SENDER, {}).give_back_in_hand()
    return 1 if database.broken else 0


def _wait(stop: threading.Event) -> None:
    """The first lane: there may be no destination at all."""
    stop.wait()


def _told(destination: str) -> Callable[[], None]:
    return lambda: log_event(Event.DESTINATION_LEFT_ALONE, level="warning", destination=destination)


def _end_in_time(stop: threading.Event, done: threading.Event, settings: Settings, lanes: list[_Lane]) -> None:
    stop.wait()
    if not done.wait(settings.serve.grace_seconds * _OF_GRACE):
        for lane in lanes:
            lane.end()


@dataclass(frozen=True, slots=True)
class _Lane:
    """One thread's way to one destination."""

    loop: WorkerLoop
    way: Way | None

    def run(self, stop: threading.Event) -> None:
        try:
            self.loop.run(stop)
        finally:
            if self.way is not None:
                self.way.link.close()

    def end(self) -> None:
        if self.way is not None:
            self.way.link.stop()


@dataclass(frozen=True, slots=True)
class _Sender:
    settings: Settings
    database: Database
    queue: JobQueue
    claimed: ClaimedJobs
    bell: JobBell

    def lanes(self) -> Iterator[_Lane]:
        """`max_associations` for each destination, and one for each that is in the records and not in the configuration any more."""
        for destination in self.settings.destinations:
            breaker = CircuitBreaker(failures=destination.breaker_failures, seconds=destination.breaker_seconds)
            for _ in range(destination.max_associations):
                yield self._lane(destination, breaker)
        known = {destination.name for destination in self.settings.destinations}
        for name in Deliveries(self.database).open_lanes():
            if name not in known:
                yield _Lane(self._loop(name, None), None)

    def _lane(self, destination: DestinationSettings, breaker: CircuitBreaker) -> _Lane:
        reports = CommitmentReports(self.database, owner_name(Role.SENDER))

        def take(report: CommitmentReport | None) -> ReportAnswer:
            return reports.take(report, destinations=(destination.name,), ae_title=destination.ae_title)

        way = way_to(
            destination,
            self.settings.delivery,
            breaker,
            take_report=take,
            on_recovered=self._hasten(destination.name),
            on_left_alone=_told(destination.name),
        )
        return _Lane(self._loop(destination.name, way), way)

    def _hasten(self, lane: str) -> Callable[[], None]:
        def hasten() -> None:
            try:
                self.queue.hasten(SENDERS_KINDS, lane, NOT_TALKED_TO)
            except DatabaseUnavailableError as error:
                # they come when they are due; what the destination has just answered must not be lost over this
                log_event(Event.DESTINATION_ANSWERS, level="error", destination=lane, error_class=type(error).__name__)
            else:
                log_event(Event.DESTINATION_ANSWERS, destination=lane)

        return hasten

    def _loop(self, lane: str, way: Way | None) -> WorkerLoop:
        handlers = self._handlers(way)
        return WorkerLoop(
            attempts=attempts_of(self.settings, self.queue, self.claimed, Role.SENDER, handlers),
            handlers=handlers,
            bell=self.bell,
            broken=lambda: self.database.broken,
            lane=lane,
            pace=OnceAllAgree(Supervisors(self.database), self.settings.config_hash) if way is None else way.link,
        )

    def _handlers(self, way: Way | None) -> dict[JobKind, JobHandler]:
        deliver = DeliverResult(
            deliveries=Deliveries(self.database),
            spool=Spool(self.settings.spool.folder),
            scu=None if way is None else way.store,
            settings=self.settings,
        )
        confirm = ConfirmDelivery(
            confirmations=Confirmations(self.database),
            commitment=None if way is None else way.commitment,
            find=None if way is None else way.find,
            settings=self.settings,
        )
        return {JobKind.DELIVER_RESULT: deliver, JobKind.CONFIRM_DELIVERY: confirm}
