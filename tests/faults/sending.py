"""A gateway that sends its results to destinations, and what its database says of the deliveries."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any, Final

from tests.faults.ledger import Ledger
from tests.faults.receiver import Receiver
from tests.faults.workplace import Workplace
from tests.peers.orthanc import Orthanc

RESULTS: Final = 3
"""Of one assessed knee."""
WAIT_SECONDS: Final = 240
_DEADLINES: Final = {
    "connect_seconds": 1,
    "response_seconds": 2,
    "message_seconds": 3,
    "retry_first_seconds": 0.2,
    "retry_max_seconds": 1,
}


def to(name: str, port: int, *, host: str = "127.0.0.1", **keys: object) -> dict[str, Any]:
    """A destination of the configuration."""
    return {"name": name, "ae_title": "PACS", "host": host, "port": port, "class": "test", "breaker_seconds": 0.5, **keys}


def sending(w: Workplace, *destinations: Mapping[str, object], odd: str | None = None, **delivery: object) -> Receiver:
    """Everything goes to all of them; the roles run. odd: see odd_gateway.py."""
    sections = {
        "worker": {"settle_seconds": 0.1},
        # destinations of the tests' own count what they are asked
        "alarms": {"echo_seconds": 0},
        "delivery": {**_DEADLINES, **delivery},
        "routes": [{"name": "all", "policy": "all", "destinations": [one["name"] for one in destinations]}],
        "destinations": list(destinations),
    }
    arguments = None if odd is None else ("tests.faults.odd_gateway", "--odd", odd)
    gateway = w.receiver(sections=sections, roles=("receiver", "worker", "sender"), arguments=arguments).start()
    gateway.wait_started(role="worker")
    gateway.wait_started(role="sender")
    return gateway


def orthanc(w: Workplace, **options: Any) -> Orthanc:
    """Not started yet."""
    pacs = Orthanc(**options)
    w.undo(shutil.rmtree, pacs.folder, True)
    w.undo(pacs.stop)
    return pacs


def states(ledger: Ledger, destination: str) -> list[str]:
    """Of its deliveries, each state once."""
    return [str(state) for (state,) in ledger.ask("SELECT DISTINCT state FROM delivery WHERE destination = ? ORDER BY 1", destination)]


def deliveries(ledger: Ledger, destination: str, state: str) -> int:
    return len(ledger.ask("SELECT 1 FROM delivery WHERE destination = ? AND state = ?", destination, state))


def codes(ledger: Ledger, destination: str) -> list[str]:
    """What became of the attempts to send, each code once."""
    sql = (
        "SELECT DISTINCT a.code FROM delivery_attempt a JOIN delivery d ON d.id = a.delivery_id"
        " WHERE d.destination = ? AND a.kind = 'send' AND a.code IS NOT NULL ORDER BY 1"
    )
    return [str(code) for (code,) in ledger.ask(sql, destination)]


def each_deliverys(ledger: Ledger, destination: str, what: str) -> list[list[Any]]:
    """what: a column of the attempts to send, of each delivery in their order."""
    rows = ledger.ask(
        f"SELECT d.id, a.{what} FROM delivery_attempt a JOIN delivery d ON d.id = a.delivery_id"
        " WHERE d.destination = ? AND a.kind = 'send' AND a.ended_at IS NOT NULL ORDER BY a.id",
        destination,
    )
    return [[value for delivery, value in rows if delivery == one] for one in sorted({str(delivery) for delivery, _ in rows})]


def longest(ledger: Ledger, destination: str) -> float:
    """Seconds of the longest attempt to send."""
    sql = (
        "SELECT max((julianday(a.ended_at) - julianday(a.started_at)) * 86400) FROM delivery_attempt a"
        " JOIN delivery d ON d.id = a.delivery_id WHERE d.destination = ? AND a.kind = 'send'"
    )
    ((seconds,),) = ledger.ask(sql, destination)
    return float(str(seconds))


def attempts(ledger: Ledger, destination: str) -> list[int]:
    """Of each delivery."""
    return [int(str(count)) for (count,) in ledger.ask("SELECT attempts FROM delivery WHERE destination = ?", destination)]
