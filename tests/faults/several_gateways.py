"""Fault 46: two gateways on one database and spool, of which one dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from tests.faults.fault import Fault, Point
from tests.faults.images import encode
from tests.faults.knees import QUIET_SECONDS, outcome, phantom, wait_quiet
from tests.faults.postgresql import PostgresLedger, cluster
from tests.faults.processes import holds_port
from tests.faults.receiver import Receiver
from tests.faults.senders import send_all
from tests.faults.waiting import happens, wait_for
from tests.faults.workplace import Workplace

_IMAGES = 6
_TAKE_OVER_SECONDS = 60
_LEADERS = (
    "SELECT DISTINCT a.pid, a.client_port FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
    " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.database = (SELECT oid FROM pg_database"
    " WHERE datname = current_database())"
)
"""Sessions that hold the duty of the store: sessions of a worker, there is no other role that stands as a candidate here."""


@dataclass(frozen=True, slots=True)
class _Pair:
    first: Receiver
    second: Receiver
    ledger: PostgresLedger


def _pair(w: Workplace) -> _Pair:
    url = w.enter(cluster()).new_database()
    # one image at a time: what waits is shared
    worker = {"lease_seconds": 4, "settle_seconds": 0.5, "batch_size": 1}
    sections = {"database": {"url": url}, "worker": worker, "delivery": {"message_seconds": 3}}
    spool = w.folder / "spool"
    first, second = (w.receiver(name=name, spool=spool, roles=("receiver", "worker"), sections=sections) for name in ("first", "second"))
    # the first one makes the schema
    first.start()
    second.start()
    for one in (first, second):
        one.wait_started(role="worker")
    return _Pair(first, second, PostgresLedger(first.database, spool, url))


def _worker(gateway: Receiver) -> int:
    return [int(line["pid"]) for line in gateway.events("role:started") if line["role"] == "worker"][-1]


def _kill_all(gateway: Receiver) -> None:
    """kill -9 of a whole gateway, as when its host goes."""
    pids = [int(line["pid"]) for line in gateway.events("role:started")]
    os.kill(gateway.supervisor, signal.SIGKILL)
    gateway.wait_exit(10)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _leaders(ledger: PostgresLedger) -> list[int]:
    return [int(str(port)) for _, port in ledger.ask(_LEADERS)]


def _holder(ports: list[int], pair: _Pair) -> str:
    """Whose worker has the connection that leads."""
    for name, gateway in (("first", pair.first), ("second", pair.second)):
        if any(holds_port(_worker(gateway), port) for port in ports):
            return name
    return "nobody"


def two_gateways(w: Workplace) -> Iterator[Point]:
    pair = _pair(w)
    ledger = pair.ledger
    wait_for(lambda: len(_leaders(ledger)) == 1, _TAKE_OVER_SECONDS, "nobody leads")
    leader, other = (pair.first, pair.second) if _holder(_leaders(ledger), pair) == "first" else (pair.second, pair.first)
    yield Point("leaders", len(_leaders(ledger)), 1)
    one_half, other_half = [encode(phantom(n)) for n in range(1, 4)], [encode(phantom(n)) for n in range(4, _IMAGES + 1)]
    yield Point("answers of both", send_all(leader.port, one_half, w.log) + send_all(other.port, other_half, w.log), ["0000"] * _IMAGES)
    wait_quiet(ledger)
    yield Point("outcomes", {outcome(ledger, one) for one in (*one_half, *other_half)} == {"assessed"}, True)
    yield Point("gateways that worked", ledger.ask(_WORKED)[0][0], 2)
    yield from _once(ledger, _IMAGES)
    former = _leaders(ledger)
    more = [encode(phantom(n)) for n in range(_IMAGES + 1, _IMAGES + 5)]
    yield Point("more to the second", send_all(other.port, more, w.log), ["0000"] * len(more))
    _kill_all(leader)
    # asked once each time: between two questions the former one may go
    happens(lambda: len(now := _leaders(ledger)) == 1 and now != former, _TAKE_OVER_SECONDS)
    yield Point("leaders after the leader's kill -9", [_holder([port], pair) for port in _leaders(ledger)], [_name(pair, other)])
    wait_for(lambda: ledger.count("assessment") >= _IMAGES + len(more), QUIET_SECONDS, "the other one did not finish")
    wait_quiet(ledger)
    yield from _once(ledger, _IMAGES + len(more))
    yield Point("the other one's worker died", len(other.events("role:died")), 0)
    yield from ledger.invariants(w.log.acknowledged)


_WORKED = "SELECT count(DISTINCT actor) FROM audit_event WHERE event = 'job:claimed' AND actor LIKE '%%worker%%'"


def _name(pair: _Pair, gateway: Receiver) -> str:
    return "first" if gateway is pair.first else "second"


def _once(ledger: PostgresLedger, images: int) -> Iterator[Point]:
    yield Point("assessments per image", ledger.count("assessment") / images, 1.0)
    yield Point("reports per study", ledger.count("result", "kind = 'sr'") / images, 1.0)
    yield Point("jobs not done", ledger.count("job", "state <> 'done' AND kind IN ('analyze_instance', 'report_study')"), 0)


FAULTS = (
    Fault(
        number=46,
        what="two gateways on one database and spool; the leader's whole gateway is killed",
        expected="the work is shared, nothing is done twice, one leads; the other takes over",
        how="two times `serve` on one PostgreSQL and one spool; kill -9 of all processes of one with work in the queue",
        scenario=two_gateways,
        needs=("postgresql",),
        seconds=400,
    ),
)
