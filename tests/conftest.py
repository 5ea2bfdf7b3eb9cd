"""Fixtures that several rings share: input, databases, the demonstration bundle."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from pydicom import config as pydicom_config

from gateway.store import schema
from gateway.store.database import Database
from tests.peers import postgresql
from tests.peers.postgresql import PostgresCluster, running_cluster

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
CASES = SHARED / "cases"

# a mistyped keyword must fail here, not pass as a private attribute of an object
pydicom_config.INVALID_KEYWORD_BEHAVIOR = "RAISE"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A command that ran within a test has its log go to that test's output, which is closed with it."""
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
        logging.basicConfig(level=logging.WARNING, handlers=[], force=True)
        sys.excepthook, threading.excepthook = sys.__excepthook__, threading.__excepthook__


@pytest.fixture(scope="session")
def cases() -> Path:
    if not CASES.is_dir():
        pytest.skip("the real DICOM cases are not beside the project")
    return CASES


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresCluster]:
    postgresql.need()
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    cluster: PostgresCluster = request.getfixturevalue("postgres")
    return cluster.new_database()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database of each kind with the schema."""
    found = Database(database_url)
    schema.ensure(found)
    yield found
    found.close()


@pytest.fixture(scope="session")
def demonstration_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The full architecture with seeded random weights, made once."""
    from strnet_core.engines.demonstration import create_demonstration_bundle

    folder = tmp_path_factory.mktemp("bundle") / "demonstration"
    create_demonstration_bundle(folder)
    return folder
