"""A receiver that does not answer its own calls ends with the code after which it is started anew."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.app.receiver_role import run_receiver
from gateway.app.role import EXIT_DISK, EXIT_STUCK
from gateway.app.role_line import RoleLine
from gateway.app.supervisor import _FINAL
from gateway.config import Settings, parse_settings
from gateway.receive.self_check import SelfCheck
from gateway.receive.server import ReceiverServer
from gateway.store.database import Database
from gateway.store.spool import Spool
from gateway.store.tables import AuditEventRow


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


def settings_of(folder: Path, **receiver: object) -> Settings:
    return parse_settings(
        {
            "serve": {"development": True},
            "receiver": {"port": 0, **receiver},
            "spool": {"folder": str(folder / "spool"), "reserve_mb": 0},
        }
    )


def test_stuck_receiver_ends_with_an_alarm_and_is_started_anew(
    database: Database, spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SelfCheck, "call", lambda _self: False)
    code = run_receiver(settings_of(tmp_path, self_check_seconds=0.01), database, threading.Event(), RoleLine())
    assert code == EXIT_STUCK
    assert code not in _FINAL
    with database.reading() as session:
        assert session.scalars(select(AuditEventRow).where(AuditEventRow.event == "receiver:stuck")).one().detail == {"port": 0}


@pytest.mark.usefixtures("spool")
def test_receiver_whose_database_cannot_sync_ends_as_after_a_failed_disk(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another_thread_meets_a_failed_fsync(_server: ReceiverServer) -> None:
        database.broken = True

    monkeypatch.setattr(ReceiverServer, "take_up_certificates", another_thread_meets_a_failed_fsync)
    assert run_receiver(settings_of(tmp_path), database, threading.Event(), RoleLine()) == EXIT_DISK
