"""A PostgreSQL cluster of the tests' own, on a free port of 127.0.0.1, gone with them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest


def find_binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def need() -> None:
    if find_binaries() is None:
        pytest.skip("PostgreSQL's server is not installed (make test PEERS=install)")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PostgresCluster:
    """initdb, start, databases by random names, stop."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="strnet-postgres-"))
        self.port = free_port()

    def start(self) -> None:
        if os.getuid() == 0:
            # PostgreSQL refuses to run as root
            self._folder.chmod(0o755)
            shutil.chown(self._folder, "postgres")
        self._run("initdb", "-D", self._data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8")
        self.resume()

    def stop(self, mode: str = "fast") -> None:
        self.halt(mode)
        shutil.rmtree(self._folder, ignore_errors=True)

    def halt(self, mode: str = "immediate") -> None:
        """The server ends; what it holds stays, for `resume`."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", mode, "stop")

    def resume(self) -> None:
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories={self._folder} -c max_connections=50"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", str(self._folder / "log"), "-o", options, "start")

    def new_database(self) -> str:
        name = f"strnet_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{name}"

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), *arguments]
        if os.getuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self._folder)


@contextmanager
def running_cluster(*, stop_mode: str = "fast") -> Iterator[PostgresCluster]:
    """stop_mode: as `pg_ctl` names it. AssertionError where PostgreSQL is not installed."""
    binaries = find_binaries()
    assert binaries is not None, "PostgreSQL's server is not installed"
    cluster = PostgresCluster(binaries)
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop(stop_mode)
