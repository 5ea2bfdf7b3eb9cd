from __future__ import annotations

import pytest

from gateway.errors import DatabaseUnavailableError
from gateway.events import Event
from gateway.receive import peer_watch
from gateway.receive.limits import Cut
from gateway.receive.peer_watch import PeerWatch


class Audit:
    """In place of the audit log."""

    def __init__(self, *, fails: bool = False) -> None:
        self.rows: list[tuple[Event, dict[str, object]]] = []
        self._fails = fails

    def record(self, event: Event, **identifiers: object) -> None:
        if self._fails:
            raise DatabaseUnavailableError
        self.rows.append((event, identifiers))


def test_flood_becomes_one_row_now_and_one_at_the_end() -> None:
    audit = Audit()
    watch = PeerWatch(audit)  # type: ignore[arg-type]
    watch.start()
    for _ in range(1000):
        watch.refused("192.0.2.1", Cut.ADDRESS_LIMIT)
    watch.cut("192.0.2.1", Cut.PDU_DEADLINE)
    watch.close()
    assert [(event, row["reason"], row["count"]) for event, row in audit.rows] == [
        (Event.CONNECTION_REFUSED, "address_limit", 1),
        (Event.CONNECTION_CUT, "pdu_deadline", 1),
        (Event.CONNECTION_REFUSED, "address_limit", 999),
    ]


def test_flood_from_many_addresses_keeps_few_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_watch, "_KNOWN", 10)
    watch = PeerWatch(Audit())  # type: ignore[arg-type]
    for number in range(5000):
        watch.refused(f"2001:db8::{number:x}", Cut.CONNECTION_LIMIT)
    assert len(watch._told) <= 10


def test_dead_database_ends_nothing() -> None:
    watch = PeerWatch(Audit(fails=True))  # type: ignore[arg-type]
    watch.start()
    watch.refused("192.0.2.1", Cut.CONNECTION_LIMIT)
    watch.close()
    assert not watch._thread.is_alive()
