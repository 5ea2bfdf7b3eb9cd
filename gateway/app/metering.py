"""The metrics' end point beside the supervisor, where the settings ask for one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from gateway.config import Settings
from gateway.events import Event, log_event
from gateway.ops.metrics import Metrics, Sources
from gateway.receive.tls import seconds_left
from gateway.store.database import Database
from gateway.store.figures import read_figures
from gateway.store.spool import Spool


@contextmanager
def metrics_served(settings: Settings, database: Database) -> Iterator[int | None]:
    """The port, None where there is none. A taken port is logged and costs the figures, never the intake."""
    metrics = _started(settings, database)
    try:
        yield metrics.port if metrics else None
    finally:
        if metrics:
            metrics.close()


def _started(settings: Settings, database: Database) -> Metrics | None:
    if not settings.metrics.port:
        return None
    sources = Sources(
        figures=lambda: read_figures(database),
        free_bytes=Spool(settings.spool.folder).free_bytes,
        certificate_seconds=lambda: seconds_left(settings.tls, datetime.now(UTC)),
    )
    try:
        metrics = Metrics(sources, host=settings.metrics.host, port=settings.metrics.port)
    except OSError as error:
        log_event(Event.METRICS_NOT_SERVED, level="error", port=settings.metrics.port, error_class=type(error).__name__)
        return None
    log_event(Event.METRICS_SERVED, port=metrics.port)
    return metrics
