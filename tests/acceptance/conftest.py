"""One gateway and one PACS for the tests that share them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.serving import Serving, write_config
from tests.peers import dcmtk
from tests.peers.orthanc import Orthanc
from tests.peers.postgresql import PostgresCluster


@pytest.fixture(scope="package")
def pacs() -> Iterator[Orthanc]:
    orthanc = Orthanc()
    orthanc.start()
    yield orthanc
    orthanc.stop()


@pytest.fixture(scope="package")
def gateway(tmp_path_factory: pytest.TempPathFactory, demonstration_bundle: Path, pacs: Orthanc) -> Iterator[Serving]:
    dcmtk.need()
    config = write_config(tmp_path_factory.mktemp("gateway"), bundle=demonstration_bundle, pacs_port=pacs.dicom_port)
    serving = Serving(config).start()
    yield serving
    serving.stop()


@pytest.fixture
def own_pacs() -> Iterator[Orthanc]:
    """Of one test: it holds nothing from others."""
    orthanc = Orthanc()
    orthanc.start()
    yield orthanc
    orthanc.stop()


@pytest.fixture
def own_gateway(tmp_path: Path, demonstration_bundle: Path, own_pacs: Orthanc, postgres: PostgresCluster) -> Iterator[Serving]:
    """Of one test, over PostgreSQL, with `own_pacs` as its destination."""
    config = write_config(tmp_path, bundle=demonstration_bundle, pacs_port=own_pacs.dicom_port, database_url=postgres.new_database())
    serving = Serving(config).start()
    yield serving
    serving.stop()
