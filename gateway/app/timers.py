"""The timers of each role, as a table: name, how often, what, and whether every process does it or the leader of a duty."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

from gateway.app.reconciling import nightly_reconciliations
from gateway.app.role import Role
from gateway.config import DestinationSettings, Settings
from gateway.domain.duty import Duty
from gateway.domain.identifiers import owner_name
from gateway.ops.departed import DepartedDestinations, DepartedHosts
from gateway.ops.phantoms import LeftPhantoms
from gateway.ops.retention import OrphanSearch, Retention
from gateway.ops.schedule import Timer, Timers
from gateway.ops.watches import ClockWatch, CorrectionWatch, DeliveryWatch, DestinationWatch, DiskWatch, QueueWatch, SpoolWatch
from gateway.store.alarms import Alarms
from gateway.store.claimed_jobs import ClaimedJobs
from gateway.store.correction_figures import CorrectionFigures
from gateway.store.database import Database
from gateway.store.deliveries import Deliveries
from gateway.store.job_queue import JobQueue
from gateway.store.leadership import leadership
from gateway.store.orphans import SEARCH_SECONDS, Orphans
from gateway.store.phantom_studies import PhantomStudies
from gateway.store.purging import Purging
from gateway.store.queue_health import QueueHealth
from gateway.store.spool import Spool
from gateway.store.spool_binding import bound_identity
from gateway.store.supervisors import Supervisors

_LEASES_SECONDS: Final = 2.0
_LEADERSHIP_SECONDS: Final = 5.0
"""A dead leader is replaced within this."""
_DISK_SECONDS: Final = 10.0
_SPOOL_SECONDS: Final = 30.0
_CLOCK_SECONDS: Final = 60.0
_QUEUE_SECONDS: Final = 30.0
_RETENTION_SECONDS: Final = 60.0
_DEPARTED_SECONDS: Final = 60.0
_SELF_TEST_SECONDS: Final = 20.0
_PHANTOMS_SECONDS: Final = 60.0
_RECONCILE_SECONDS: Final = 60.0
_BUNDLE_SECONDS: Final = 2.0


def receiver_timers(settings: Settings, database: Database) -> Timers:
    return Timers(_of_host(settings, database, Role.RECEIVER))


def worker_timers(
    settings: Settings,
    database: Database,
    queue: JobQueue,
    claimed: ClaimedJobs,
    test_itself: Callable[[], object],
    look_at_bundle: Callable[[], object],
) -> Timers:
    """test_itself: looks whether the worker's self-test is due. look_at_bundle: whether another bundle is live."""
    timers = (
        *_of_jobs(settings, queue, claimed),
        *_of_host(settings, database, Role.WORKER),
        *_of_store(settings, database, Role.WORKER),
        Timer(name="self_test", seconds=_SELF_TEST_SECONDS, tick=test_itself),
        Timer(name="bundle", seconds=_BUNDLE_SECONDS, tick=look_at_bundle),
    )
    return Timers(timers, {Duty.STORE: leadership(database, Duty.STORE)})


def sender_timers(settings: Settings, database: Database, queue: JobQueue, claimed: ClaimedJobs) -> Timers:
    timers = (
        *_of_jobs(settings, queue, claimed),
        *_of_host(settings, database, Role.SENDER),
        *_of_store(settings, database, Role.SENDER),
        *_of_destinations(settings, database),
    )
    return Timers(timers, {duty: leadership(database, duty) for duty in Duty})


def _of_jobs(settings: Settings, queue: JobQueue, claimed: ClaimedJobs) -> tuple[Timer, ...]:
    """Every process that runs jobs: taking back leases needs no leader, and a heartbeat is its own."""
    return (
        Timer(name="stalled_leases", seconds=_LEASES_SECONDS, tick=queue.expire_leases),
        Timer(name="heartbeat", seconds=settings.worker.lease_seconds / 3, tick=claimed.renew),
    )


def _of_host(settings: Settings, database: Database, role: Role) -> tuple[Timer, ...]:
    """Every process: a host has at least one, and what several see is one alarm."""
    host, spool, alarms = socket.gethostname(), Spool(settings.spool.folder), Alarms(database, owner_name(role))
    disk = DiskWatch(spool=spool, settings=settings.spool, alarms=alarms, host=host)
    place = SpoolWatch(spool=spool, expected=lambda: bound_identity(database), alarms=alarms, host=host)
    # a lease that another host gave must not look as if it had run out
    clock = ClockWatch(health=QueueHealth(database), alarms=alarms, host=host, allowed_seconds=settings.worker.lease_seconds / 4)
    return (
        Timer(name="disk", seconds=_DISK_SECONDS, tick=disk.look),
        Timer(name="spool", seconds=_SPOOL_SECONDS, tick=place.look),
        Timer(name="clock", seconds=_CLOCK_SECONDS, tick=clock.look),
    )


def _of_store(settings: Settings, database: Database, role: Role) -> tuple[Timer, ...]:
    actor = owner_name(role)
    spool = Spool(settings.spool.folder)
    queue = QueueWatch(health=QueueHealth(database), alarms=Alarms(database, actor), oldest_job_minutes=settings.alarms.oldest_job_minutes)
    corrections = CorrectionWatch(figures=CorrectionFigures(database), alarms=Alarms(database, actor))
    deliveries = DeliveryWatch(deliveries=Deliveries(database), alarms=Alarms(database, actor))
    retention = Retention(settings=settings.retention, purging=Purging(database, spool, actor))
    search = OrphanSearch(orphans=Orphans(database, spool, actor))
    left = LeftPhantoms(phantoms=PhantomStudies(database), actor=actor)
    supervisors = Supervisors(database)
    departed = DepartedHosts(alarms=Alarms(database, actor), hosts=lambda: [story.host for story in supervisors.all()])
    return (
        _candidature(Duty.STORE),
        Timer(name="departed_hosts", seconds=_DEPARTED_SECONDS, tick=departed.look, duty=Duty.STORE),
        Timer(name="queue", seconds=_QUEUE_SECONDS, tick=queue.look, duty=Duty.STORE),
        Timer(name="corrections", seconds=_QUEUE_SECONDS, tick=corrections.look, duty=Duty.STORE),
        Timer(name="deliveries", seconds=_QUEUE_SECONDS, tick=deliveries.look, duty=Duty.STORE),
        Timer(name="retention", seconds=_RETENTION_SECONDS, tick=retention.purge, duty=Duty.STORE),
        Timer(name="phantoms", seconds=_PHANTOMS_SECONDS, tick=left.look, duty=Duty.STORE),
        Timer(name="orphans", seconds=SEARCH_SECONDS, tick=search.look, duty=Duty.STORE),
    )


def _candidature(duty: Duty) -> Timer:
    """Whoever may act for a duty is asked whether it leads before each of its ticks; this one is only the asking."""
    return Timer(name=f"leadership {duty}", seconds=_LEADERSHIP_SECONDS, tick=lambda: None, duty=duty)


def _of_destinations(settings: Settings, database: Database) -> tuple[Timer, ...]:
    """One for each, so that one that hangs keeps no other waiting."""
    from gateway.app.destination_ways import silence_of

    alarms, seconds = Alarms(database, owner_name(Role.SENDER)), settings.alarms.echo_seconds

    def silence(destination: DestinationSettings) -> str | None:
        return silence_of(destination, settings.delivery)

    watches = [DestinationWatch(destination=one, silence=silence, alarms=alarms) for one in settings.destinations if seconds]
    echoes = (Timer(name=f"echo {watch.destination.name}", seconds=seconds, tick=watch.look, duty=Duty.DESTINATIONS) for watch in watches)
    departed = DepartedDestinations(
        alarms=alarms,
        asked=frozenset(watch.destination.name for watch in watches),
        configured=frozenset(destination.name for destination in settings.destinations),
    )
    nights = (
        Timer(name=f"reconcile {name}", seconds=_RECONCILE_SECONDS, tick=night.look, duty=Duty.DESTINATIONS, stop=night.stop)
        for name, night in nightly_reconciliations(settings, database, owner_name(Role.SENDER))
    )
    gone = Timer(name="departed_destinations", seconds=_DEPARTED_SECONDS, tick=departed.look, duty=Duty.DESTINATIONS)
    return (_candidature(Duty.DESTINATIONS), gone, *echoes, *nights)
