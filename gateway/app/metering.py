"""The HTTP end point beside the supervisor, where the settings ask for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from gateway.app.readiness import Readiness
from gateway.config import Settings
from gateway.events import Event, log_event
from gateway.ops.endpoint import Endpoint
from gateway.ops.metrics import Sources, StoreCollector
from gateway.receive.tls import seconds_left
from gateway.store.database import Database
from gateway.store.figures import read_figures
from gateway.store.spool import Spool


@contextmanager
def served(
    current: Callable[[], Settings], database: Database, readiness: Readiness, deaths: Callable[[], Mapping[str, int]]
) -> Iterator[int | None]:
    """The port, None where there is none. A taken port is logged and costs figures and probes, never the intake.

    current: the settings in force, which a reload changes.
    """
    endpoint = _started(current, database, readiness, deaths)
    try:
        yield endpoint.port if endpoint else None
    finally:
        if endpoint:
            endpoint.close()


def _started(
    current: Callable[[], Settings], database: Database, readiness: Readiness, deaths: Callable[[], Mapping[str, int]]
) -> Endpoint | None:
    settings = current()
    if not settings.metrics.port:
        return None
    sources = Sources(
        figures=lambda: read_figures(database),
        free_bytes=Spool(settings.spool.folder).free_bytes,
        certificate_seconds=lambda: seconds_left(current().tls, datetime.now(UTC)),
        hindrances=readiness.hindrances,
        deaths=deaths,
    )
    try:
        endpoint = Endpoint(
            StoreCollector(sources),
            is_alive=readiness.is_alive,
            hindrances=readiness.hindrances,
            host=settings.metrics.host,
            port=settings.metrics.port,
        )
    except OSError as error:
        log_event(Event.METRICS_NOT_SERVED, level="error", port=settings.metrics.port, error_class=type(error).__name__)
        return None
    log_event(Event.METRICS_SERVED, port=endpoint.port)
    return endpoint
