"""A supervisor's readiness in the store and over HTTP: what is told, raised, cleared, forgotten."""

from __future__ import annotations

import json
import os
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.app.readiness import Readiness, is_gone
from gateway.domain.alarm import AlarmCode
from gateway.domain.identifiers import owner_name
from gateway.domain.readiness import FORGOTTEN_AFTER, Cause, Hindrance, SupervisorStory
from gateway.ops.endpoint import Endpoint
from gateway.ops.metrics import Sources, StoreCollector
from gateway.store.alarms import Alarms
from gateway.store.database import Database
from gateway.store.figures import read_figures
from gateway.store.supervisors import Supervisors

HOST = socket.gethostname()
LOOPING = (AlarmCode.CRASH_LOOP, f"{HOST}:worker")
DOWN = Hindrance(cause=Cause.ROLE_DOWN, subject="worker")


def dead_pid() -> int:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child


def story(name: str, **changes: Any) -> SupervisorStory:
    now = datetime.now(UTC)
    values = {"host": HOST, "roles": ("worker",), "config_hash": "c", "started_at": now, "seen_at": now, "hindrances": ()}
    return SupervisorStory(name=name, **{**values, **changes})


@pytest.fixture
def readiness(database: Database) -> Iterator[Readiness]:
    found = Readiness(database, ["worker"])
    yield found
    found.close()


def wait_for(happened: Callable[[], bool]) -> None:
    """Bounded by the test's own patience: the readiness looks every two seconds and at each change."""
    pause = threading.Event()
    for _ in range(600):
        if happened():
            return
        pause.wait(0.05)
    raise AssertionError("it did not happen")


def test_supervisor_tells_what_stands_against_it_and_leaves_nothing_behind(readiness: Readiness, database: Database) -> None:
    readiness.start()
    supervisors = Supervisors(database)
    assert readiness.hindrances() == (Hindrance(cause=Cause.ROLE_STARTING, subject="worker"),)
    readiness.say([DOWN], frozenset(), "hash-1")
    wait_for(lambda: [(one.hindrances, one.config_hash) for one in supervisors.all()] == [((DOWN,), "hash-1")])
    readiness.say([], frozenset(), "hash-2")
    wait_for(lambda: [(one.is_ready, one.config_hash) for one in supervisors.all()] == [(True, "hash-2")])
    assert readiness.hindrances() == ()
    readiness.close()
    assert supervisors.all() == ()


def test_crash_loop_is_an_alarm_that_makes_unready_until_it_is_over(readiness: Readiness, database: Database) -> None:
    readiness.start()
    alarms = Alarms(database, "test")
    readiness.say([], frozenset({LOOPING}), "h")
    wait_for(lambda: [(alarm.code, alarm.subject) for alarm in alarms.standing()] == [LOOPING])
    wait_for(lambda: readiness.hindrances() == (Hindrance(cause=Cause.CRASH_LOOP, subject=LOOPING[1]),))
    readiness.say([], frozenset(), "h")
    wait_for(lambda: alarms.standing() == () and readiness.hindrances() == ())


def test_alarms_of_a_dead_predecessor_are_cleared_and_those_of_others_left(readiness: Readiness, database: Database) -> None:
    Alarms(database, owner_name("supervisor", dead_pid())).raise_(*LOOPING)
    Alarms(database, "elsewhere:supervisor:1").raise_(AlarmCode.CRASH_LOOP, "elsewhere:sender")
    Alarms(database, owner_name("worker")).raise_(AlarmCode.OLDEST_JOB, "report_study")
    readiness.say([], frozenset(), "h")
    readiness.start()
    wait_for(lambda: len(Alarms(database, "test").standing()) == 2)
    wait_for(lambda: [one.cause for one in readiness.hindrances()] == [Cause.STALLED_QUEUE])


def test_supervisor_that_ended_uncleanly_is_forgotten_here_at_once_and_elsewhere_after_a_while(database: Database) -> None:
    supervisors, now = Supervisors(database), datetime.now(UTC)
    supervisors.tell(story(owner_name("supervisor", dead_pid())))
    supervisors.tell(story("b:supervisor:1", host="b"))
    supervisors.tell(story("c:supervisor:1", host="c", seen_at=now - FORGOTTEN_AFTER - timedelta(seconds=1)))
    supervisors.tell(story(owner_name("supervisor")), gone=is_gone)
    assert [one.host for one in supervisors.all()] == sorted([HOST, "b"])


def test_database_that_is_gone_makes_unready_and_is_found_again(tmp_path: Path) -> None:
    from gateway.store import schema

    database = Database(f"sqlite:///{tmp_path / 'store.db'}")
    schema.ensure(database)
    readiness = Readiness(database, ["worker"])
    readiness.say([], frozenset(), "h")
    for file in tmp_path.iterdir():
        file.rename(tmp_path / f"{file.name}.away")
    (tmp_path / "store.db").mkdir()
    database.close()
    readiness.start()
    wait_for(lambda: readiness.hindrances() == (Hindrance(cause=Cause.DATABASE_DOWN),))
    (tmp_path / "store.db").rmdir()
    for file in tmp_path.glob("*.away"):
        file.rename(file.with_suffix(""))
    wait_for(lambda: readiness.hindrances() == ())
    readiness.close()
    database.close()


def asked(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_probes_and_figures_say_the_same(database: Database) -> None:
    found: list[Hindrance] = []
    alive: list[bool] = [True]
    sources = Sources(
        figures=lambda: read_figures(database),
        free_bytes=lambda: 1,
        certificate_seconds=lambda: None,
        hindrances=lambda: found,
        deaths=lambda: {"worker": 3},
    )
    endpoint = Endpoint(StoreCollector(sources), is_alive=lambda: alive[0], hindrances=lambda: found, host="127.0.0.1", port=0)
    try:
        assert asked(endpoint.port, "/healthz") == (200, '{"alive": true}')
        assert asked(endpoint.port, "/readyz") == (200, '{"ready": true, "hindrances": []}')
        assert "strnet_gateway_ready 1.0" in asked(endpoint.port, "/metrics")[1]
        found.append(DOWN)
        alive[0] = False
        assert asked(endpoint.port, "/healthz")[0] == 503
        status, text = asked(endpoint.port, "/readyz")
        assert (status, json.loads(text)) == (503, {"ready": False, "hindrances": [{"cause": "role_down", "subject": "worker"}]})
        figures = asked(endpoint.port, "/metrics")[1]
        assert "strnet_gateway_ready 0.0" in figures
        assert 'strnet_gateway_not_ready{cause="role_down",subject="worker"} 1.0' in figures
        assert 'strnet_gateway_role_deaths_total{role="worker"} 3.0' in figures
    finally:
        endpoint.close()
