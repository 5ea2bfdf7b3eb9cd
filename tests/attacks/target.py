"""`strnet-gateway serve --role receiver` as a process, measured from outside."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import func, select

from gateway.store.database import Database
from gateway.store.tables import AssociationRow, ReceiptRow

_START_SECONDS: Final = 240
"""The first one makes a demonstration bundle, which the others find."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """What the process holds at a moment. rss_mb: resident memory. cpu_seconds: since its start.

    of_connections: the descriptors that connections have; the others are files, above all the store's.
    """

    rss_mb: float
    threads: int
    descriptors: int
    of_connections: int
    cpu_seconds: float


def cost_of(pid: int) -> Cost:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    kinds = [_kind(pid, number) for number in os.listdir(f"/proc/{pid}/fd")]  # noqa: PTH208  a listing, not paths
    return Cost(
        rss_mb=int(status["VmRSS"].split()[0]) / 1024,
        threads=int(status["Threads"]),
        descriptors=len(kinds),
        of_connections=sum(kind.startswith(("socket:", "anon_inode:[eventfd]")) for kind in kinds),
        cpu_seconds=(int(times[11]) + int(times[12])) / _TICKS,
    )


def _kind(pid: int, number: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/fd/{number}").readlink())
    except FileNotFoundError:
        return ""


class Target:
    """A receiver with its own store. settings: lines of its [receiver] section. descriptors: its limit of open files."""

    def __init__(self, folder: Path, settings: str = "", *, descriptors: int | None = None) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._log = folder / "receiver.log"
        self._descriptors = descriptors
        self._config = folder / "config.toml"
        self._config.write_text(
            f'[serve]\ndevelopment = true\ngrace_seconds = 5\n[receiver]\nport = 0\n{settings}\n[database]\nurl = "sqlite:///store.db"\n'
            f'[spool]\nreserve_mb = 0\nfolder = "spool"\n[model]\nbundle = "../bundle"\n',
            encoding="utf-8",
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.port, self.pid = 0, 0

    def __enter__(self) -> Self:
        def limit() -> None:
            if self._descriptors is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (self._descriptors, self._descriptors))

        with self._log.open("wb") as log:
            command = [sys.executable, "-m", "gateway.cli.main", "serve", "--role", "receiver", "--config", str(self._config)]
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, preexec_fn=limit)  # noqa: PLW1509
        try:
            wait_until(lambda: bool(self.told("role:started")), _START_SECONDS, lambda: self._log.read_text()[-2000:])
        except BaseException:
            self._process.kill()
            raise
        (started,) = self.told("role:started")
        self.port, self.pid = started["port"], started["pid"]
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        finally:
            self._process.kill()

    def told(self, event: str) -> list[dict[str, Any]]:
        """The lines of the log with that event. Every line must be a JSON object."""
        lines = [json.loads(line) for line in self._log.read_bytes().decode().split("\n")[:-1] if line.strip()]
        return [line for line in lines if line["event"] == event]

    def cost(self) -> Cost:
        return cost_of(self.pid)

    def stored_of(self, calling_ae_title: str) -> int:
        """Receipts with success for what that sender has sent."""
        database = Database(f"sqlite:///{self._folder / 'store.db'}")
        counted = (
            select(func.count())
            .select_from(ReceiptRow)
            .join(AssociationRow, AssociationRow.id == ReceiptRow.association_id)
            .where(ReceiptRow.dimse_status == 0, AssociationRow.calling_ae_title == calling_ae_title)
        )
        try:
            with database.reading() as session:
                return session.scalar(counted) or 0
        finally:
            database.close()

    def files_outside(self) -> list[str]:
        """What lies in the receiver's folder and is none of its own."""
        own = {"config.toml", "receiver.log", "spool"}
        return [path.name for path in self._folder.iterdir() if path.name not in own and not path.name.startswith("store.db")]


class Peak:
    """The greatest cost while it runs, looked at often."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.rss_mb, self.threads, self.descriptors = 0.0, 0, 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            now = self._target.cost()
            self.rss_mb, self.threads = max(self.rss_mb, now.rss_mb), max(self.threads, now.threads)
            self.descriptors = max(self.descriptors, now.descriptors)
            if self._over.wait(0.05):
                return


def wait_until(condition: Callable[[], bool], seconds: float, otherwise: Callable[[], str] = lambda: "") -> bool:
    """True when it came true in time. With `otherwise`, an error with its text when not."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            if text := otherwise():
                raise AssertionError(text)
            return False
        time.sleep(0.05)
    return True
