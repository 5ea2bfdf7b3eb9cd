"""The receivers that are compared, each a process tree over a folder of its own on the same file system."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.peers.dcmtk import echoscu
from tests.peers.orthanc import BINARY as ORTHANC
from tests.peers.postgresql import free_port

STORESCP = Path("/usr/bin/storescp")
_START_SECONDS = 180


@dataclass(frozen=True)
class Server:
    """A running receiver."""

    name: str
    ae_title: str
    port: int
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_gateway(folder: Path, *, processes: int, name: str = "gateway") -> Server:
    """This receiver as it is installed: `serve --role receiver`, SQLite, everything durable."""
    port = free_port()
    config = folder / "config.toml"
    config.write_text(
        f"""
[serve]
development = true
[receiver]
port = {port}
processes = {processes}
[spool]
folder = "spool"
reserve_mb = 0
[database]
url = "sqlite:///store.db"
[logging]
level = "warning"
[model]
bundle = "{folder.parent.parent.resolve() / "bench-bundle"}"
"""
    )
    command = [sys.executable, "-m", "gateway.cli.main", "serve", "--config", str(config), "--role", "receiver"]
    return _started(name, "STRNET", port, folder, command)


def start_dcmtk(folder: Path) -> Server:
    port = free_port()
    return _started("dcmtk", "STORESCP", port, folder, [str(STORESCP), "--fork", "+xa", "-od", str(folder), str(port)])


def start_stock(folder: Path) -> Server:
    port = free_port()
    return _started("stock", "STOCK", port, folder, [sys.executable, "-m", "tests.benchmarks.intake.stock_scp", str(port), str(folder)])


def start_orthanc(folder: Path) -> Server:
    port = free_port()
    config = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomAet": "ORTHANC",
        "DicomPort": port,
        "HttpServerEnabled": False,
        "DicomAlwaysAllowStore": True,
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(config))
    return _started("orthanc", "ORTHANC", port, folder, [str(ORTHANC), str(folder / "orthanc.json")])


STARTERS: dict[str, Callable[[Path], Server]] = {"dcmtk": start_dcmtk, "orthanc": start_orthanc, "stock": start_stock}


def _started(name: str, ae_title: str, port: int, folder: Path, command: list[str]) -> Server:
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    deadline = time.monotonic() + _START_SECONDS
    while echoscu(port, called=ae_title) != 0:
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError(f"{name} did not start: {(folder / 'server.log').read_text(errors='replace')[-2000:]}")
        time.sleep(0.2)
    return Server(name, ae_title, port, process)
