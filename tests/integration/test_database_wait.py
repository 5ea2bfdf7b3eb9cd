"""`serve` before its database's server is there, and a server that is there and refuses."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from gateway.app.database_wait import DatabaseWait
from gateway.config import Settings, parse_settings
from gateway.errors import DatabaseUnavailableError, SchemaMismatchError
from gateway.store import reachability, schema
from gateway.store.database import Database
from tests.faults.waiting import wait_for
from tests.peers import postgresql
from tests.peers.postgresql import PostgresCluster, free_port, running_cluster


@pytest.fixture
def server() -> Iterator[PostgresCluster]:
    """One that may be halted."""
    postgresql.need()
    with running_cluster(stop_mode="immediate") as cluster:
        yield cluster


def settings_of(url: str) -> Settings:
    return parse_settings({"serve": {"development": True}, "database": {"url": url}, "metrics": {"port": free_port()}})


class Start:
    """What `serve` does first; times: how often it was tried."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.times = 0

    def __call__(self) -> None:
        self.times += 1
        with closing(Database(self._url)) as database:
            schema.ensure(database)


def probe(settings: Settings, path: str) -> tuple[int, dict[str, Any]] | None:
    """None while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{settings.metrics.port}{path}", timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
    except OSError:
        return None


NOT_READY = (503, {"ready": False, "hindrances": [{"cause": "database_down", "subject": ""}]})


def test_start_waits_unready_for_a_server_that_is_down_and_goes_on_when_it_is_there(server: PostgresCluster) -> None:
    url = server.new_database()
    settings, start = settings_of(url), Start(url)
    server.halt()
    with ThreadPoolExecutor(1) as pool:
        done: Future[bool] = pool.submit(DatabaseWait(settings, threading.Event()).until_done, start)
        wait_for(lambda: probe(settings, "/readyz") == NOT_READY, 20, "the probe does not say that the database is down")
        assert probe(settings, "/healthz") == (200, {"alive": True})
        assert not done.done()
        server.resume()
        assert done.result(60) is True
    assert start.times == 2
    # the supervisor's own end point takes the address over
    assert probe(settings, "/readyz") is None


def test_sigterm_ends_the_wait() -> None:
    settings, stop = settings_of(f"postgresql+psycopg://postgres@127.0.0.1:{free_port()}/strnet"), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(DatabaseWait(settings, stop).until_done, Start(settings.database.url))
        wait_for(lambda: probe(settings, "/readyz") == NOT_READY, 20, "it does not wait")
        stop.set()
        assert done.result(20) is False


@pytest.mark.parametrize("changed", [{"database": "missing"}, {"username": "nobody"}])
def test_server_that_refuses_us_is_not_waited_for(postgres: PostgresCluster, changed: dict[str, str]) -> None:
    url = make_url(postgres.new_database()).set(**changed).render_as_string(hide_password=False)  # type: ignore[arg-type]
    with pytest.raises(DatabaseUnavailableError):
        DatabaseWait(settings_of(url), threading.Event()).until_done(Start(url))


def test_other_refusals_are_not_waited_for(database_url: str) -> None:
    def refused() -> None:
        raise SchemaMismatchError

    with pytest.raises(SchemaMismatchError):
        DatabaseWait(settings_of(database_url), threading.Event()).until_done(refused)


def test_sqlite_file_that_cannot_be_opened_is_not_waited_for(tmp_path: Any) -> None:
    (tmp_path / "store.db").mkdir()
    url = f"sqlite:///{tmp_path / 'store.db'}"
    error = reachability.trouble(url)
    assert error is not None
    assert not reachability.is_away(url, error)
    start = Start(url)
    with pytest.raises(DatabaseUnavailableError):
        DatabaseWait(settings_of(url), threading.Event()).until_done(start)
    # a large file is read at each
    assert start.times == 1
