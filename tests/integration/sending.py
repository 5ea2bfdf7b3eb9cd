"""The sender's role in this process, and destinations that keep what they are sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gateway.app.role_line import RoleLine
from gateway.app.sender_role import run_sender
from gateway.config import Settings
from gateway.config.sections import SpoolSettings
from gateway.domain.story import DeliveryStory
from gateway.store.database import Database
from gateway.store.queries import Queries
from tests.integration.bench import Bench
from tests.peers.raw_scp import RawScp, Visitor

SECONDS = 20.0
"""Bounds a test that fails; nothing waits for it."""


def destinations(**ports: int) -> list[dict[str, Any]]:
    return [
        {"name": name, "ae_title": "PACS", "host": "127.0.0.1", "port": port, "class": "test", "breaker_seconds": 0.2}
        for name, port in ports.items()
    ]


def sections(**ports: int) -> dict[str, Any]:
    """Settings of a gateway that sends everything to each of these destinations."""
    return {
        "routes": [{"name": "r", "policy": "all", "destinations": list(ports)}],
        "destinations": destinations(**ports),
        "delivery": {
            "connect_seconds": 1,
            "response_seconds": 1,
            "message_seconds": 2,
            "retry_first_seconds": 0.1,
            "retry_max_seconds": 0.2,
        },
        "worker": {"poll_seconds": 0.01},
    }


class Shelf:
    """What a destination holds, in the order of its arrival."""

    def __init__(self, status: Callable[[Any], int] = lambda _request: 0) -> None:
        self.arrived: list[str] = []
        self.changed = threading.Condition()
        self._status = status

    def __call__(self, visitor: Visitor) -> None:
        visitor.accept()
        while True:
            request = visitor.request()
            status = self._status(request)
            if status in (0, 0x0111) or status >> 12 == 0xB:
                with self.changed:
                    self.arrived.append(str(request.AffectedSOPInstanceUID))
                    self.changed.notify_all()
            visitor.answer(request, status)

    def holds(self, count: int) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: len(set(self.arrived)) >= count, SECONDS)


@contextmanager
def sender(settings: Settings, here: Bench) -> Iterator[threading.Thread]:
    """Runs the role; at the end it is drained as by SIGTERM."""
    stop, database = threading.Event(), here.database
    settings = settings.model_copy(update={"spool": SpoolSettings(folder=here.spool._folder)})
    thread = threading.Thread(target=run_sender, args=(settings, database, stop, RoleLine()))
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(SECONDS)
        assert not thread.is_alive()


def stories(database: Database, key: str) -> list[DeliveryStory]:
    return [delivery for result in Queries(database).explain(key).results for delivery in result.deliveries]


def until(reached: Callable[[], bool], seconds: float = SECONDS) -> bool:
    """Looks at the store again and again: it tells nobody."""
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


__all__ = ["RawScp", "Shelf", "sections", "sender", "stories", "until"]
