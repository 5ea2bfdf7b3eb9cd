"""Fault 16: the database's server is down at the start, dies while the gateway runs, is restarted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.faults.fault import Fault, Point
from tests.faults.images import image
from tests.faults.postgresql import PostgresLedger, cluster
from tests.faults.senders import association, echo, negotiation, send, send_all
from tests.faults.waiting import happens
from tests.faults.workplace import Workplace

_RECOVERY_SECONDS: Final = 60
_START_SECONDS: Final = 100
_UNIT: Final = Path(__file__).resolve().parents[2] / "deploy" / "systemd" / "strnet-gateway.service"


def _is_restarted(code: int | str) -> bool:
    """Whether the unit that is shipped has systemd start it again after this exit code."""
    unit = _UNIT.read_text(encoding="utf-8")
    prevented = re.search(r"^RestartPreventExitStatus=(.*)$", unit, re.MULTILINE)
    return "\nRestart=on-failure\n" in unit and code != 0 and str(code) not in (prevented[1].split() if prevented else [])


def server_dies(w: Workplace) -> Iterator[Point]:
    server = w.enter(cluster())
    url = server.new_database()
    receiver = w.receiver(sections={"database": {"url": url}})
    ledger = PostgresLedger(receiver.database, receiver.spool, url)
    server.halt()
    receiver.launch()
    code = receiver.wait_exit(_START_SECONDS)
    yield Point("started without it: remedy shown", "Check `database.url` and its server" in receiver.said(), True)
    yield Point("started again by the service manager", _is_restarted(code), True)
    server.resume()
    receiver.start()
    with association(receiver.port, [image(1), image(2)]) as assoc:
        yield Point("when it is there", send(assoc, image(1), w.log), "0000")
        server.halt()
        yield Point("C-STORE without it", send(assoc, image(2), w.log), "A700")
    yield Point("C-ECHO without it", echo(receiver.port), True)
    server.resume()
    yield Point("new association when it is back", _accepted(receiver.port), "accepted")
    yield Point("the refused one sent again", send_all(receiver.port, [image(2)], w.log), ["0000"])
    server.halt("fast")
    server.resume()
    yield Point("after a restart", send_all(receiver.port, [image(3)], w.log), ["0000"])
    yield Point("instances", ledger.count("instance"), 3)
    yield Point("receiver died", len(receiver.events("role:died")), 0)
    yield from ledger.invariants(w.log.acknowledged)


def _accepted(port: int) -> str:
    happens(lambda: negotiation(port) == "accepted", _RECOVERY_SECONDS)
    return negotiation(port)


FAULTS = (
    Fault(
        number=16,
        what="database server down at the start, dies while the gateway runs, is restarted",
        expected="start: not ready until it is there; running: A700; recovers by itself",
        how="PostgreSQL, `pg_ctl stop -m immediate`; a start that is refused is one that systemd tries again (deploy/systemd)",
        scenario=server_dies,
        needs=("postgresql",),
        seconds=400,
    ),
)
