"""What a reload leaves out, and what keeps a draining supervisor alive."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.app import preflight, reload
from gateway.app import readiness as readiness_module
from gateway.app.readiness import Readiness
from gateway.app.supervisor import Supervisor
from gateway.config import parse_settings
from gateway.store.database import Database


def test_reload_does_not_read_the_whole_database(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(reload, "prepare", lambda _settings, *, actor, reads_whole_database=True: asked.append(reads_whole_database))
    settings = parse_settings({"serve": {"development": True}})
    reload.accepted(lambda: settings, settings, (), actor="test")
    assert asked == [False]


@pytest.mark.parametrize("reads", [True, False])
def test_whole_database_is_read_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reads: bool) -> None:
    read: list[Database] = []
    monkeypatch.setattr(preflight.schema, "check_whole", read.append)
    monkeypatch.setattr(preflight, "prepare_spool", _stops)
    settings = parse_settings({"serve": {"development": True}, "database": {"url": f"sqlite:///{tmp_path / 'x.db'}"}})
    with pytest.raises(_StopError):
        preflight.prepare(settings, actor="test", reads_whole_database=reads)
    assert len(read) == reads


class _StopError(Exception):
    pass


def _stops(*_anything: object) -> None:
    raise _StopError


def test_supervisor_is_alive_for_as_long_as_it_drains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(readiness_module, "time", clock)
    monkeypatch.setattr("gateway.app.supervisor.time", clock)
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    readiness = Readiness(database, [])
    alive: list[bool] = []

    class Slow:
        exit_code = None

        def wait(self, seconds: float) -> None:
            now[0] += seconds
            alive.append(readiness.is_alive())

    supervisor: Any = Supervisor(parse_settings({"serve": {"development": True}}), (), parse_settings)  # type: ignore[arg-type]
    supervisor._readiness = readiness
    supervisor._wait_for(Slow(), 300.0)
    assert now == [300.0]
    assert all(alive)
    assert readiness.is_alive()
    database.close()
