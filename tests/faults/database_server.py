"""Fault 16: the database's server is down at the start, dies while the gateway runs, is restarted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.faults.fault import Fault, Point
from tests.faults.images import image
from tests.faults.postgresql import PostgresLedger, cluster
from tests.faults.probes import causes
from tests.faults.receiver import Receiver
from tests.faults.senders import association, echo, negotiation, send, send_all
from tests.faults.waiting import happens, wait_for
from tests.faults.workplace import Workplace
from tests.peers.postgresql import free_port

_RECOVERY_SECONDS: Final = 60


def server_dies(w: Workplace) -> Iterator[Point]:
    server = w.enter(cluster())
    url = server.new_database()
    probes = free_port()
    receiver = w.receiver(sections={"database": {"url": url}, "metrics": {"port": probes}})
    ledger = PostgresLedger(receiver.database, receiver.spool, url)
    server.halt()
    receiver.launch()
    _waits(receiver)
    yield Point("started without it: not ready for", causes(probes), ["database_down"])
    receiver.terminate()
    yield Point("SIGTERM then: exit code", receiver.wait_exit(30), 0)
    receiver.launch()
    _waits(receiver)
    server.resume()
    receiver.wait_started()
    yield Point("started by itself when it was there", len(receiver.events("database:reached")), 1)
    wait_for(lambda: causes(probes) == [], 60, "never ready")
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


def _waits(receiver: Receiver) -> None:
    wait_for(lambda: bool(receiver.events("database:awaited")) or receiver.exit_code is not None, 60, "it does not wait for the database")


def _accepted(port: int) -> str:
    happens(lambda: negotiation(port) == "accepted", _RECOVERY_SECONDS)
    return negotiation(port)


FAULTS = (
    Fault(
        number=16,
        what="database server down at the start, dies while the gateway runs, is restarted",
        expected="start: waits, not ready, until it is there; running: A700; recovers by itself",
        how="PostgreSQL, `pg_ctl stop -m immediate`; `/readyz` is asked",
        scenario=server_dies,
        needs=("postgresql",),
        seconds=400,
    ),
)
