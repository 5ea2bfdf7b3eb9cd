"""DCMTK's storescp with TLS as the PACS, by absolute path."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.peers.authority import Pair
from tests.peers.postgresql import free_port

BINARY = Path("/usr/bin/storescp")


@dataclass(frozen=True)
class StoreScp:
    """A listening storescp and the folder that it stores into."""

    port: int
    folder: Path

    def held(self) -> list[str]:
        """SOP Instance UIDs, sorted."""
        return sorted(str(dcmread(file).SOPInstanceUID) for file in self.folder.iterdir())


@contextmanager
def storescp(folder: Path, shows: Pair | None, *options: str) -> Iterator[StoreScp]:
    """shows: the certificate by which it speaks TLS; None: plain. options: further ones, such as `-ic`."""
    if not BINARY.exists():
        pytest.skip("DCMTK is not installed (make test PEERS=install)")
    folder.mkdir()
    port = free_port()
    secured = [] if shows is None else ["+tls", str(shows.key), str(shows.certificate)]
    command = [str(BINARY), *secured, *options, "-od", str(folder), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield StoreScp(port, folder)
    finally:
        process.kill()
        process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise RuntimeError(f"storescp ended with {process.returncode}")
