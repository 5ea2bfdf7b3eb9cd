"""`strnet-gateway serve` as a process, as an installation runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.config import load_settings
from gateway.domain.story import Status
from gateway.store.database import Database
from gateway.store.queries import Queries

START_SECONDS = 120
QUIET_SECONDS = 240
ROLES = ("receiver", "worker", "sender")


def write_config(
    folder: Path, *, bundle: Path, pacs_port: int | None = None, database_url: str | None = None, policy: str = "all", extra: str = ""
) -> Path:
    """A development set-up on a free port, with the PACS as its destination."""
    destination = f"""
[[destinations]]
name = "pacs"
ae_title = "PACS"
host = "127.0.0.1"
port = {pacs_port}
class = "test"
"""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.toml"
    path.write_text(
        f"""
[serve]
development = true
restart_first_seconds = 0.1
grace_seconds = 20
[receiver]
port = 0
[database]
url = "{database_url or "sqlite:///store.db"}"
[spool]
reserve_mb = 0
folder = "spool"
[model]
bundle = "{bundle}"
[results]
late_after_hours = 0
[worker]
lease_seconds = 30
[delivery]
message_seconds = 5
retry_first_seconds = 0.5
retry_max_seconds = 2
[[routes]]
name = "all"
policy = "{policy}"
destinations = {'["pacs"]' if pacs_port else "[]"}
{destination if pacs_port else ""}
{extra}
""",
        encoding="utf-8",
    )
    return path


class Serving:
    """A running gateway: its log, its store, its roles' processes."""

    def __init__(self, config: Path, *, roles: tuple[str, ...] = ROLES) -> None:
        self.config = config
        self._roles = roles
        self.folder = config.parent
        self._log = self.folder / "gateway.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._offset = 0
        self._database: Database | None = None

    def start(self) -> Serving:
        self.launch()
        for role in self._roles:
            self.wait_for(lambda role=role: self.pid(role) is not None, START_SECONDS, f"{role} did not start")  # type: ignore[misc]
        return self

    def launch(self) -> None:
        """Starts the process, and does not wait for its roles."""
        self._offset = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "gateway.cli.main", "serve", "--config", str(self.config)]
            command += [] if self._roles == ROLES else [part for role in self._roles for part in ("--role", role)]
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def wait_for(self, happened: Callable[[], bool], seconds: float, otherwise: str) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            if time.monotonic() > deadline or (self._process is not None and self._process.poll() is not None):
                raise AssertionError(f"{otherwise}\n{self.log()[-3000:]}")
            time.sleep(0.05)

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def lines(self) -> list[dict[str, Any]]:
        """The log of this start, one object per line; a line that is no JSON object would raise here."""
        text = self._log.read_bytes()[self._offset :].decode()
        whole = text[: text.rfind("\n") + 1]
        return [json.loads(line) for line in whole.splitlines() if line.strip()]

    def _started(self, role: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["event"] == "role:started" and line["role"] == role]

    def pid(self, role: str) -> int | None:
        started = self._started(role)
        return int(started[-1]["pid"]) if started else None

    @property
    def port(self) -> int:
        return int(self._started("receiver")[-1]["port"])

    def kill(self, role: str) -> None:
        """kill -9, then wait until the supervisor has started the role again."""
        starts = len(self._started(role))
        pid = self.pid(role)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        self.wait_for(lambda: len(self._started(role)) > starts, START_SECONDS, f"{role} was not started again")

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(60)
        finally:
            self._process.kill()
            if self._database is not None:
                self._database.close()
                self._database = None

    def kill_all(self, before: Callable[[], None] = lambda: None) -> None:
        """kill -9 of the supervisor; its roles notice and end. before: what dies with it."""
        assert self._process is not None
        before()
        self._process.kill()
        self._process.wait()

    def queries(self) -> Queries:
        if self._database is None:
            self._database = Database(load_settings(self.config).database.url)
        return Queries(self._database)

    def wait_quiet(self) -> Status:
        """Until no job is open."""
        queries = self.queries()

        def quiet() -> bool:
            return not any(key.split()[1] in ("queued", "running", "retry") for key in queries.status().jobs)

        self.wait_for(quiet, QUIET_SECONDS, "jobs are still open")
        return queries.status()
