"""A receiver over a fresh store, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from gateway.config import Settings, parse_settings
from gateway.dicom.part10 import set_tolerant_reading
from gateway.receive.server import ReceiverServer
from gateway.results import study_report
from gateway.store.audit_log import AuditLog
from gateway.store.commitment_reports import CommitmentReports
from gateway.store.database import Database
from gateway.store.process_file import ProcessFile
from gateway.store.receipts import Receipts
from gateway.store.spool import Spool
from tests.integration.bench import Bench, new_bench
from tests.integration.test_store import record_test_bundle


@dataclass(frozen=True)
class Receiver:
    """A listening receiver and what it writes to."""

    port: int
    server: ReceiverServer
    database: Database
    spool: Spool
    folder: Path
    process: ProcessFile


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    found = Spool(tmp_path / "spool")
    found.prepare()
    return found


@pytest.fixture
def receivers(database: Database, spool: Spool, tmp_path: Path) -> Iterator[Callable[..., Receiver]]:
    """Starts receivers with the settings that a test gives."""
    set_tolerant_reading()
    started: list[ReceiverServer] = []
    processes: list[ProcessFile] = []

    def start(**sections: object) -> Receiver:
        base: dict[str, object] = {"serve": {"development": True}, "receiver": {"port": 0}, "spool": {"reserve_mb": 0}}
        settings: Settings = parse_settings({**base, **sections})
        process = ProcessFile(spool.processes)
        server = ReceiverServer(
            settings,
            receipts=Receipts(database, "test", spool, process=process),
            audit=AuditLog(database, "test"),
            spool=spool,
            reports=CommitmentReports(database, "test"),
        )
        processes.append(process)
        port = server.start()
        started.append(server)
        return Receiver(port, server, database, spool, tmp_path / "spool", process)

    yield start
    for server in started:
        server.drain(5)
    for process in processes:
        process.close()


@pytest.fixture
def receiver(receivers: Callable[..., Receiver]) -> Receiver:
    return receivers()


@pytest.fixture
def bench(database: Database, spool: Spool) -> Callable[..., Bench]:
    """Makes a gateway without processes and sockets: bench(policy, **sections of the configuration)."""
    record_test_bundle(database)
    return partial(new_bench, database, spool)


@pytest.fixture
def plain_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without drawing, for tests of what becomes of results: drawing is most of what building one takes."""

    def page(*_: object) -> npt.NDArray[np.uint8]:
        return np.zeros((64, 64, 3), np.uint8)

    monkeypatch.setattr(study_report, "report_page", page)
    monkeypatch.setattr(study_report, "overlay_page", page)
