"""Figures for Prometheus: counts, states and ages, read from the store when they are asked for. Labels are codes and configured names."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from gateway.domain.figures import Figures
from gateway.domain.readiness import Hindrance
from gateway.errors import GatewayError

_FRESH_SECONDS: Final = 5.0
"""Several scrapes at once cost one look at the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the figures come from. certificate_seconds: until our certificate's end, None without TLS.

    destination_certificates: the same of ours for each destination that is shown one.
    hindrances: what stands against the work of this supervisor's roles. deaths: of each role since the supervisor's start.
    """

    figures: Callable[[], Figures]
    free_bytes: Callable[[], int]
    certificate_seconds: Callable[[], float | None]
    destination_certificates: Callable[[], Mapping[str, float]] = dict
    hindrances: Callable[[], Sequence[Hindrance]] = tuple
    deaths: Callable[[], Mapping[str, int]] = dict


class StoreCollector(Collector):
    """One read of the store per scrape; a store that cannot be read is a figure too."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._lock = threading.Lock()
        self._read_at = -_FRESH_SECONDS
        self._figures: Figures | None = None

    def collect(self) -> Iterable[Metric]:
        figures = self._fresh()
        yield _gauge("store_up", "1 while the audit store can be read.", 0 if figures is None else 1)
        if figures is not None:
            yield from _of_store(figures)
        yield from self._of_supervisor()
        yield from self._of_host()

    def _fresh(self) -> Figures | None:
        with self._lock:
            if time.monotonic() - self._read_at >= _FRESH_SECONDS:
                try:
                    self._figures = self._sources.figures()
                except GatewayError:
                    self._figures = None
                self._read_at = time.monotonic()
            return self._figures

    def _of_supervisor(self) -> Iterable[Metric]:
        found = self._sources.hindrances()
        yield _gauge("ready", "1 while nothing stands against the work of this supervisor's roles.", 0 if found else 1)
        yield _counted("not_ready", "1 for each thing that does.", ("cause", "subject"), [((one.cause, one.subject), 1) for one in found])
        deaths = CounterMetricFamily("strnet_gateway_role_deaths", "Processes that ended without being asked.", labels=("role",))
        for role, count in self._sources.deaths().items():
            deaths.add_metric((role,), count)
        yield deaths

    def _of_host(self) -> Iterable[Metric]:
        try:
            yield _gauge("spool_free_bytes", "Free space where the spool is.", self._sources.free_bytes())
        except OSError:
            yield _gauge("spool_free_bytes", "Free space where the spool is.", 0)
        left = self._sources.certificate_seconds()
        if left is not None:
            yield _gauge("certificate_expiry_seconds", "Until the end of the file tls.certificate; negative once it has expired.", left)
        ends = [((name,), seconds) for name, seconds in self._sources.destination_certificates().items()]
        yield _counted("destination_certificate_expiry_seconds", "Likewise, of a destination's tls_certificate.", ("destination",), ends)


def _of_store(figures: Figures) -> Iterable[Metric]:
    receipts = CounterMetricFamily("strnet_gateway_receipts", "Answered C-STOREs and ingested files.", labels=("status", "reason"))
    for status, reason, count in figures.receipts:
        receipts.add_metric((f"{status:04X}", reason), count)
    yield receipts
    yield _counted("instances", "Kept data sets; state phantom: those of `check`, which are nobody's.", ("state",), figures.instances)
    yield _counted("jobs", "Pieces of work.", ("kind", "state"), figures.jobs)
    yield _counted("deliveries", "Results to destinations.", ("destination", "state"), figures.deliveries)
    yield _counted("alarm", "1 for each alarm that stands.", ("code", "subject"), figures.alarms)
    workers = [((worker,), passed, age) for worker, passed, age in figures.self_tests]
    passed_text = "1 where a worker's latest self-test passed, 0 where it deviated: an alarm."
    yield _counted("self_test_passed", passed_text, ("worker",), [(labels, int(passed)) for labels, passed, _ in workers])
    ages = GaugeMetricFamily("strnet_gateway_self_test_age_seconds", "Since a worker's latest self-test.", labels=("worker",))
    for labels, _, age in workers:
        ages.add_metric(labels, age)
    yield ages
    yield _gauge("oldest_open_job_seconds", "Age of the oldest job that waits or runs; 0 when none does.", figures.oldest_open_job_seconds)


def _counted(name: str, text: str, labels: tuple[str, ...], counts: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    family = GaugeMetricFamily(f"strnet_gateway_{name}", text, labels=labels)
    for values, count in counts:
        family.add_metric(values, count)
    return family


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"strnet_gateway_{name}", text, value=value)
