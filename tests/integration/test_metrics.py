"""Figures over HTTP, as Prometheus reads them: what the store holds, and nothing of a patient."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.app.metering import _certificates, served
from gateway.app.readiness import Readiness
from gateway.config import Settings, TlsSettings, parse_settings
from gateway.domain.figures import Figures
from gateway.errors import DatabaseUnavailableError
from gateway.ops.endpoint import Endpoint
from gateway.ops.metrics import Sources, StoreCollector
from gateway.receive.tls import seconds_left
from gateway.store.database import Database
from gateway.store.figures import read_figures
from gateway.store.receipts import Receipts, refusal_of
from gateway.store.spool import Spool
from tests.integration.bench import Bench, new_bench
from tests.peers.authority import Authority
from tests.peers.postgresql import free_port

LABELS = ("status", "reason", "kind", "destination", "state")
Sample = dict[tuple[str, tuple[str, ...]], float]


def scrape(port: int) -> tuple[str, Sample]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    samples = {
        (sample.name.removeprefix("strnet_gateway_"), tuple(sample.labels[name] for name in LABELS if name in sample.labels)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    return text, samples


@pytest.fixture
def here(database: Database, spool: Spool) -> Bench:
    return new_bench(database, spool)


@pytest.fixture
def serve(database: Database, spool: Spool, tmp_path: Path) -> Iterator[Callable[..., int]]:
    started: list[Endpoint] = []

    def start(tls: TlsSettings | None = None, settings: Settings | None = None) -> int:
        sources = Sources(
            figures=lambda: read_figures(database),
            free_bytes=spool.free_bytes,
            certificate_seconds=lambda: seconds_left(tls or TlsSettings(), datetime.now(UTC)),
            destination_certificates=lambda: _certificates(settings or Settings(), datetime.now(UTC)),
        )
        started.append(Endpoint(StoreCollector(sources), is_alive=lambda: True, hindrances=list, host="127.0.0.1", port=0))
        return started[-1].port

    yield start
    for endpoint in started:
        endpoint.close()


def test_figures_are_those_of_the_store(here: Bench, serve: Callable[..., int]) -> None:
    here.receive(1, study=1)
    here.receive(1, study=1)
    here.work()
    here.receive(2, study=2)
    _, found = scrape(serve())
    assert found["store_up", ()] == 1
    assert (found["receipts_total", ("0000", "stored")], found["receipts_total", ("0000", "received_again")]) == (2, 1)
    assert (found["instances", ("assessed",)], found["instances", ("stored",)]) == (1, 1)
    assert found["jobs", ("analyze_instance", "queued")] == 1
    assert found["deliveries", ("pacs", "pending")] > 0
    assert 0 < found["oldest_open_job_seconds", ()] < 600
    assert found["spool_free_bytes", ()] > 0
    assert ("certificate_expiry_seconds", ()) not in found


def test_expiry_of_the_certificate_that_a_destination_is_shown_is_told(serve: Callable[..., int], tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("STRNET", valid_hours=2)
    base = {"ae_title": "PACS", "host": "h", "port": 104, "class": "test", "tls": True}
    shown = {**base, "name": "pacs", "tls_certificate": pair.certificate, "tls_key": pair.key}
    port = serve(settings=parse_settings({"destinations": [shown, {**base, "name": "other"}]}))
    found = scrape(port)[1]
    assert 7000 < found["destination_certificate_expiry_seconds", ("pacs",)] <= 7200
    assert ("destination_certificate_expiry_seconds", ("other",)) not in found
    pair.certificate.unlink()
    assert ("destination_certificate_expiry_seconds", ("pacs",)) not in scrape(port)[1]


def test_expiry_is_that_of_the_certificate_and_goes_below_zero(serve: Callable[..., int], tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("gateway", valid_hours=2)
    tls = TlsSettings(required=True, certificate=pair.certificate, key=pair.key, authorities=authority.file)
    port = serve(tls)
    assert 7000 < scrape(port)[1]["certificate_expiry_seconds", ()] <= 7200
    authority.issue("gateway", valid_hours=-1)
    assert scrape(port)[1]["certificate_expiry_seconds", ()] < -3500
    pair.certificate.unlink()
    assert ("certificate_expiry_seconds", ()) not in scrape(port)[1]


def test_nothing_of_a_patient_is_in_the_figures(here: Bench, serve: Callable[..., int]) -> None:
    here.receive(
        1,
        PatientName="CANARY^NAME",
        PatientID="CANARYID",
        AccessionNumber="CANARYACC",
        StudyDescription="CANARYTEXT",
        StationName="CANARYSTATION",
        PatientBirthDate="19410717",
    )
    Receipts(here.database, "test", here.spool).refuse(
        refusal_of(
            sop_class_uid="CANARY",
            sop_instance_uid="CANARY",
            transfer_syntax_uid="CANARY",
            dimse_status=0xC001,
            reason="unreadable",
            association_id=None,
        )
    )
    here.work()
    text, found = scrape(serve())
    assert found["receipts_total", ("C001", "unreadable")] == 1
    assert "CANARY" not in text
    assert "19410717" not in text
    assert "2.25." not in text


def test_store_that_cannot_be_read_is_a_figure_and_no_error() -> None:
    def down() -> Figures:
        raise DatabaseUnavailableError

    def gone() -> int:
        raise OSError(2, "gone")

    found = {
        sample.name: sample.value
        for family in StoreCollector(Sources(figures=down, free_bytes=gone, certificate_seconds=lambda: None)).collect()
        for sample in family.samples
    }
    assert found == {"strnet_gateway_store_up": 0, "strnet_gateway_ready": 1, "strnet_gateway_spool_free_bytes": 0}


def test_scrapes_at_once_read_the_store_once(database: Database) -> None:
    reads: list[int] = []

    def figures() -> Figures:
        reads.append(1)
        return read_figures(database)

    collector = StoreCollector(Sources(figures=figures, free_bytes=lambda: 1, certificate_seconds=lambda: None))
    for _ in range(5):
        assert list(collector.collect())
    assert len(reads) == 1


def settings(port: int) -> Settings:
    return parse_settings({"metrics": {"port": port}})


def test_taken_port_costs_the_figures_and_nothing_else(database: Database, serve: Callable[..., int]) -> None:
    readiness = Readiness(database, [])
    for asked in (serve(), 0):
        with served(partial(settings, asked), database, readiness, dict) as port:
            assert port is None


def test_expiry_is_that_of_the_certificate_in_force_after_a_reload(database: Database, tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("gateway", valid_hours=2)
    port = free_port()
    secured = TlsSettings(required=True, certificate=pair.certificate, key=pair.key, authorities=tmp_path / "authorities.pem")
    loaded = [settings(port)]
    with served(lambda: loaded[-1], database, Readiness(database, []), dict):
        assert ("certificate_expiry_seconds", ()) not in scrape(port)[1]
        loaded.append(settings(port).model_copy(update={"tls": secured}))
        assert scrape(port)[1]["certificate_expiry_seconds", ()] > 7000
