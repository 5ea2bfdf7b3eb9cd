"""A role that is asked to end while a peer stalls: it ends within its grace period, and its job waits for the next one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from sqlalchemy import select

from gateway.app.role_line import RoleLine
from gateway.app.sender_role import run_sender
from gateway.config import Settings, parse_settings
from gateway.dicom.uids import RESULT_SOP_CLASSES
from gateway.domain.job import JobKind, JobState
from gateway.store.database import Database
from gateway.store.spool import Spool
from gateway.store.tables import DeliveryAttemptRow, DeliveryRow, JobRow
from tests.integration.bench import Bench

GRACE_SECONDS = 2.0


class FrozenPacs:
    """Takes a C-STORE and never answers it."""

    def __init__(self) -> None:
        self.has_one = threading.Event()
        self.thaw = threading.Event()
        ae = AE(ae_title="PACS")
        for sop_class in RESULT_SOP_CLASSES:
            ae.add_supported_context(sop_class, ExplicitVRLittleEndian)
        self._server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)])
        self.port: int = self._server.server_address[1]

    def _store(self, _event: Any) -> int:
        self.has_one.set()
        self.thaw.wait(60)
        return 0xA700

    def stop(self) -> None:
        self.thaw.set()
        self._server.shutdown()


@pytest.fixture
def pacs() -> Iterator[FrozenPacs]:
    frozen = FrozenPacs()
    yield frozen
    frozen.stop()


def settings_for(spool_folder: str, port: int) -> Settings:
    return parse_settings(
        {
            "serve": {"development": True, "grace_seconds": GRACE_SECONDS},
            "spool": {"folder": spool_folder},
            "routes": [{"name": "r", "policy": "all", "destinations": ["pacs"]}],
            "destinations": [{"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": port, "class": "test"}],
        }
    )


def deliveries(database: Database) -> list[tuple[str, int, str | None]]:
    """(state of the job, failed attempts, lease owner) of each delivery job; the deliveries themselves must still wait."""
    with database.reading() as session:
        assert set(session.scalars(select(DeliveryRow.state))) == {"pending"}
        jobs = session.scalars(select(JobRow).where(JobRow.kind == JobKind.DELIVER_RESULT).order_by(JobRow.id))
        return [(job.state, job.attempts, job.lease_owner) for job in jobs]


def test_sender_ends_within_its_grace_period_though_the_pacs_is_frozen(
    bench: Callable[..., Bench], database: Database, spool: Spool, tmp_path: Any, pacs: FrozenPacs
) -> None:
    here = bench()
    here.receive(1, study=1)
    here.work()
    settings, stop = settings_for(str(tmp_path / "spool"), pacs.port), threading.Event()
    ended: list[int] = []
    role = threading.Thread(target=lambda: ended.append(run_sender(settings, database, stop, RoleLine())), daemon=True)
    role.start()
    assert pacs.has_one.wait(30)
    assert JobState.RUNNING in {state for state, _, _ in deliveries(database)}
    asked_at = time.monotonic()
    stop.set()
    role.join(30)
    assert ended == [0]
    assert time.monotonic() - asked_at < GRACE_SECONDS + 3
    # what was under way is on record as interrupted, and due at once
    assert [owner for _, _, owner in deliveries(database)] == [None] * len(deliveries(database))
    assert [state for state, attempts, _ in deliveries(database) if attempts] == [JobState.RETRY]
    with database.reading() as session:
        assert session.scalars(select(DeliveryAttemptRow.code)).all() == ["interrupted"]
        assert all(due <= datetime.now(UTC) for due in session.scalars(select(JobRow.next_at).where(JobRow.kind == JobKind.DELIVER_RESULT)))
