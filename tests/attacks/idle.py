"""What 100 idle associations cost: this receiver, and pynetdicom's own server beside it."""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from .attacks import connected
from .target import Target, cost_of

_ASSOCIATIONS: Final = 100
_SECONDS: Final = 10.0


def idle_percent(folder: Path) -> float:
    """Of one core."""
    settings = f"max_associations = {_ASSOCIATIONS}\nmax_connections_per_address = {_ASSOCIATIONS}\nself_check_seconds = 10"
    with Target(folder, settings) as target:
        return _percent(target.port, target.pid)


def stock_idle_percent() -> float:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve_stock, args=(theirs,), daemon=True)
    process.start()
    try:
        return _percent(ours.recv(), process.pid or 0)
    finally:
        process.kill()
        process.join()


def _serve_stock(parent: Connection) -> None:
    from pynetdicom import AE

    from tests.peers.raw_peer import DX, VERIFICATION

    ae = AE(ae_title="STRNET")
    ae.maximum_associations = _ASSOCIATIONS
    ae.add_supported_context(DX)
    ae.add_supported_context(VERIFICATION)
    server = ae.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    parent.send(server.server_address[1])
    parent.poll(None)
    os._exit(0)


def _percent(port: int, pid: int) -> float:
    with connected(port, _ASSOCIATIONS, associate=True):
        before, began = cost_of(pid), time.monotonic()
        time.sleep(_SECONDS)  # the interval over which it is measured
        return 100 * (cost_of(pid).cpu_seconds - before.cpu_seconds) / (time.monotonic() - began)
