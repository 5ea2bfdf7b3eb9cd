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
from gateway.tls.certificates import seconds_until_end


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
        destination_certificates=lambda: _certificates(current(), datetime.now(UTC)),
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


def _certificates(settings: Settings, now: datetime) -> dict[str, float]:
    """Seconds until the end of the certificate that each destination is shown; without those that cannot be read."""
    shown = {one.name: seconds_until_end(one.tls_certificate, now) for one in settings.destinations if one.tls_certificate is not None}
    return {name: seconds for name, seconds in shown.items() if seconds is not None}
