"""Fault 18: the database answers slowly, is locked, or its answers never come."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import psycopg
from sqlalchemy.engine import make_url

from tests.faults.fault import Fault, Point, at_most
from tests.faults.images import encode, image
from tests.faults.knees import outcome, phantom, wait_quiet
from tests.faults.postgresql import PostgresLedger, cluster
from tests.faults.probes import causes
from tests.faults.senders import association, echo, negotiation, send, send_all
from tests.faults.waiting import happens, wait_for
from tests.faults.workplace import Workplace
from tests.peers.chaos_proxy import chaos_proxy
from tests.peers.postgresql import free_port

_PATIENCE_SECONDS: Final = 55
"""Of a modality: many give a C-STORE a minute."""
_MODALITIES: Final = 40
"""More than the pool has connections."""
_RECOVERY_SECONDS: Final = 60


def silent(w: Workplace) -> Iterator[Point]:
    server = w.enter(cluster())
    url, proxy, probes = server.new_database(), w.enter(chaos_proxy(server.port)), free_port()
    behind = make_url(url).set(port=proxy.port).render_as_string(hide_password=False)
    sections = {
        "database": {"url": behind},
        "metrics": {"port": probes},
        "worker": {"settle_seconds": 0.1},
        "receiver": {"max_associations": 64},
    }
    receiver = w.receiver(sections=sections, roles=("receiver", "worker")).start()
    receiver.wait_started(role="worker")
    ledger = PostgresLedger(receiver.database, receiver.spool, url)

    proxy.delay_seconds = 0.1
    yield Point("each answer 0.1 s late", send_all(receiver.port, [image(1)], w.log), ["0000"])
    proxy.delay_seconds = 0

    with (
        psycopg.connect(url.replace("+psycopg", "")) as other,
        association(receiver.port, [image(2)], patience=_PATIENCE_SECONDS) as assoc,
    ):
        other.execute("LOCK TABLE instance IN ACCESS EXCLUSIVE MODE")
        yield Point("a table locked: C-STORE", send(assoc, image(2), w.log), "A700")
        yield Point("C-ECHO", echo(receiver.port), True)
        other.rollback()
    yield Point("sent again", send_all(receiver.port, [image(2)], w.log), ["0000"])

    with association(receiver.port, [image(3)], patience=_PATIENCE_SECONDS) as assoc:
        proxy.stall()
        yield Point("no answers: C-STORE", send(assoc, image(3), w.log), "A700")
    yield Point("C-ECHO", echo(receiver.port), True)
    wait_for(lambda: causes(probes) == ["database_down"], 60, "the probe does not say that the database is down")
    yield Point("not ready for", causes(probes), ["database_down"])
    with ThreadPoolExecutor(_MODALITIES) as pool:
        many = [pool.submit(_stored, receiver.port, number, w) for number in range(_MODALITIES)]
        answers = sorted({one.result() for one in many})
    yield Point(f"{_MODALITIES} modalities at once", answers, ["A700"])
    load = receiver.load()
    yield Point("threads", at_most(150, load.threads, "threads"), "at most 150 threads")
    proxy.flow()
    happens(lambda: negotiation(receiver.port) == "accepted", _RECOVERY_SECONDS)
    one = encode(phantom(1))
    yield Point("answers again: C-STORE", send_all(receiver.port, [image(3), one], w.log), ["0000", "0000"])
    wait_quiet(ledger)
    yield Point("assessed", outcome(ledger, one), "assessed")
    yield Point("ready again within 60 s", happens(lambda: causes(probes) == [], _RECOVERY_SECONDS), True)
    yield Point("roles died", len(receiver.events("role:died")), 0)
    yield from ledger.invariants(w.log.acknowledged)


def _stored(port: int, number: int, w: Workplace) -> str:
    one = image(100 + number)
    with association(port, [one], patience=_PATIENCE_SECONDS) as assoc:
        return send(assoc, one, w.log)


FAULTS = (
    Fault(
        number=18,
        what="database slow; a table locked; its answers never come",
        expected="slow is waited for; else A700 within a minute, C-ECHO alive, the pool is not exhausted for good, and all goes on by itself",
        how="a proxy between gateway and PostgreSQL that delays or swallows; LOCK TABLE",
        scenario=silent,
        needs=("postgresql",),
        seconds=500,
    ),
)
