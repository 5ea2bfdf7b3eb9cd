"""Timers. They only wake what the database knows anyway: losing a tick loses no work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from apscheduler.schedulers.background import BackgroundScheduler

from gateway.errors import GatewayError
from gateway.events import Event, log_event
from gateway.store.claimed_jobs import ClaimedJobs
from gateway.store.job_queue import JobQueue

_LEASE_CHECK_SECONDS: Final = 2


def start_timers(queue: JobQueue, claimed: ClaimedJobs, lease_seconds: float) -> BackgroundScheduler:
    """Starts the timers of a role that runs jobs. misfire_grace_time None: a late tick still runs."""
    scheduler = BackgroundScheduler(job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}, timezone="UTC")
    scheduler.add_job(_quiet(queue.expire_leases), "interval", seconds=_LEASE_CHECK_SECONDS)
    scheduler.add_job(_quiet(claimed.renew), "interval", seconds=lease_seconds / 3)
    scheduler.start()
    return scheduler


def _quiet(tick: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        try:
            tick()
        except GatewayError as error:
            log_event(Event.JOB_LEASE_EXPIRED, level="error", error_class=type(error).__name__)

    return run
