"""Faults 17, 19 and 20: the database is locked, damaged or of another release."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from tests.faults.fault import Fault, Point
from tests.faults.images import image
from tests.faults.senders import association, echo, send, send_all
from tests.faults.workplace import Workplace

_LOCKED_SECONDS = 30


def locked(w: Workplace) -> Iterator[Point]:
    receiver = w.receiver().start()
    ledger = w.ledger(receiver)
    yield Point("before", send_all(receiver.port, [image(1)], w.log), ["0000"])
    with (
        closing(sqlite3.connect(ledger.database, isolation_level=None, timeout=10)) as other,
        ThreadPoolExecutor(1) as pool,
        association(receiver.port, [image(2)]) as assoc,
    ):
        other.execute("BEGIN EXCLUSIVE")
        stored = pool.submit(send, assoc, image(2), w.log)
        yield Point("C-ECHO meanwhile", echo(receiver.port, seconds=_LOCKED_SECONDS), True)
        yield Point("C-STORE meanwhile", stored.result(), "A700")
        other.execute("ROLLBACK")
    yield Point("afterwards", send_all(receiver.port, [image(2)], w.log), ["0000"])
    yield Point("instances", ledger.count("instance"), 2)
    yield Point("receiver died", len(receiver.events("role:died")), 0)
    yield from ledger.invariants(w.log.acknowledged)


def other_schema(w: Workplace) -> Iterator[Point]:
    receiver = w.receiver().start()
    ledger = w.ledger(receiver)
    yield Point("before", send_all(receiver.port, [image(1)], w.log), ["0000"])
    receiver.terminate()
    receiver.wait_exit(30)
    ((ours,),) = ledger.ask("SELECT version_num FROM alembic_version")
    for name, version in (("older", "0001"), ("newer", "9999")):
        _stamp(ledger.database, version)
        before = ledger.database.read_bytes()
        receiver.launch()
        yield Point(f"{name}: exit code", receiver.wait_exit(100), 78)
        yield Point("remedy shown", "strnet-gateway db migrate" in receiver.said(), True)
        yield Point("database untouched", ledger.database.read_bytes() == before, True)
    _stamp(ledger.database, str(ours))
    receiver.start()
    yield Point("starts with its own", send_all(receiver.port, [image(2)], w.log), ["0000"])
    yield from ledger.invariants(w.log.acknowledged)


def _stamp(database: Path, version: str) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def damaged_database(w: Workplace) -> Iterator[Point]:
    receiver = w.receiver().start()
    ledger = w.ledger(receiver)
    yield Point("before", sorted(set(send_all(receiver.port, [image(number) for number in range(1, 41)], w.log))), ["0000"])
    receiver.terminate()
    receiver.wait_exit(30)
    whole = ledger.database.read_bytes()
    for name, begin, end in (("a page of zeros", 0.4, None), ("the first page", 0.0, None), ("half of the file missing", None, 0.5)):
        ledger.database.write_bytes(_hurt(whole, begin, end))
        hurt = ledger.database.read_bytes()
        receiver.launch()
        yield Point(f"{name}: exit code", receiver.wait_exit(100), 78)
        yield Point("remedy shown", "file is damaged" in receiver.said(), True)
        yield Point("file left as it is", ledger.database.read_bytes() == hurt, True)
    ledger.database.write_bytes(whole)
    receiver.start()
    yield Point("starts with the whole one", send_all(receiver.port, [image(50)], w.log), ["0000"])
    yield from ledger.invariants(w.log.acknowledged)


def _hurt(whole: bytes, zeros_at: float | None, cut_at: float | None) -> bytes:
    if cut_at is not None:
        return whole[: int(len(whole) * cut_at) // 4096 * 4096]
    at = int(len(whole) * (zeros_at or 0.0)) // 4096 * 4096
    return whole[:at] + bytes(4096) + whole[at + 4096 :]


FAULTS = (
    Fault(
        number=17,
        what="database locked by another",
        expected="C-STORE waits for `busy_timeout` and is answered A700; C-ECHO is answered; everything goes on when it is free",
        how="BEGIN EXCLUSIVE by a second connection, SQLite",
        scenario=locked,
    ),
    Fault(
        number=19,
        what="database file damaged: a page of zeros, the first page, half of it missing",
        expected="start refused with the remedy; nothing is deleted or repaired by itself",
        how="pages of a SQLite file overwritten while nothing runs",
        scenario=damaged_database,
        seconds=400,
    ),
    Fault(
        number=20,
        what="schema of an older, of a newer release",
        expected="start refused with the remedy; the database is not touched",
        how="Alembic's version rewritten",
        scenario=other_schema,
        seconds=240,
    ),
)
