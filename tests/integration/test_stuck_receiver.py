"""A receiver that does not answer its own calls ends with the code after which it is started anew."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.app import roles
from gateway.app.supervisor import _FINAL
from gateway.config import parse_settings
from gateway.receive.self_check import SelfCheck
from gateway.store.database import Database
from gateway.store.spool import Spool
from gateway.store.tables import AuditEventRow


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


def test_stuck_receiver_ends_with_an_alarm_and_is_started_anew(
    database: Database, spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SelfCheck, "call", lambda _self: False)
    settings = parse_settings(
        {
            "serve": {"development": True},
            "receiver": {"port": 0, "self_check_seconds": 0.01},
            "spool": {"folder": str(tmp_path / "spool"), "reserve_mb": 0},
        }
    )
    code = roles._run_receiver(settings, database, threading.Event())
    assert code == roles.EXIT_STUCK
    assert code not in _FINAL
    with database.reading() as session:
        assert session.scalars(select(AuditEventRow).where(AuditEventRow.event == "receiver:stuck")).one().detail == {"port": 0}
