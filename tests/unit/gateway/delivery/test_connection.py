"""A destination's host may have several addresses."""

from __future__ import annotations

import socket
import time

import pytest

from gateway.delivery import connection
from gateway.delivery.connection import Connection


def test_address_that_does_not_answer_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as full, socket.socket() as waiting, socket.socket() as waiting_too, socket.socket() as good:
        full.bind(("127.0.0.2", 0))
        full.listen(0)
        port = full.getsockname()[1]
        for one in (waiting, waiting_too):
            one.setblocking(False)
            one.connect_ex(("127.0.0.2", port))
        good.bind(("127.0.0.1", port))
        good.listen()
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in ("127.0.0.2", "127.0.0.1")]
        monkeypatch.setattr(connection, "_resolve", lambda *_: found)
        opened = Connection(user_timeout_seconds=1)
        opened.open("pacs", port, time.monotonic() + 1)
        opened.close()
