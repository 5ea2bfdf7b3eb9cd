"""Fault 45: a person deletes or changes files of the spool."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests.faults.fault import Fault, Point
from tests.faults.images import Image, encode
from tests.faults.knees import outcome, phantom, wait_quiet
from tests.faults.ledger import Ledger
from tests.faults.senders import send_all
from tests.faults.workplace import Workplace

_WORKER = {"settle_seconds": 0.1}


def spoiled(w: Workplace) -> Iterator[Point]:
    """Received while no worker runs, spoiled, then analysed."""
    receiver = w.receiver(sections={"worker": _WORKER}).start()
    ledger = w.ledger(receiver)
    gone, flipped, found_by_the_sweep, sound = images = [encode(phantom(number)) for number in range(1, 5)]
    yield Point("answers", send_all(receiver.port, images, w.log), ["0000"] * 4)
    receiver.terminate()
    receiver.wait_exit(30)
    _file(ledger, found_by_the_sweep).unlink()
    both = w.receiver(roles=("receiver", "worker"), sections={"worker": _WORKER})
    _held(ledger, True)
    both.start()
    # the sweep has looked: what goes now is the worker's to find
    _file(ledger, gone).unlink()
    _flip(_file(ledger, flipped))
    _held(ledger, False)
    both.wait_started(role="worker")
    wait_quiet(ledger)
    names = ("deleted", "a bit flipped", "deleted while nothing ran", "a sound one")
    for name, one, expected in zip(names, images, ("lost", "corrupt", "lost", "assessed"), strict=True):
        yield Point(name, outcome(ledger, one), expected)
    yield Point("alarms in the audit: lost", _alarmed(ledger, "instance:lost"), 2)
    yield Point("corrupt", _alarmed(ledger, "instance:corrupt"), 1)
    yield Point("assessments", ledger.count("assessment"), 1)
    yield Point("results", ledger.count("result"), 3)
    yield from ledger.invariants(one for one in w.log.acknowledged if one == (sound.uid, sound.digest))
    yield Point("sent again", send_all(both.port, images[:3], w.log), ["0000"] * 3)
    wait_quiet(ledger)
    yield Point("then", [outcome(ledger, one) for one in images], ["assessed"] * 4)
    yield Point("results", ledger.count("result"), 12)
    yield Point("rows without their file", ledger.rows_without_file(), 0)
    yield Point("worker died", len(both.events("role:died")), 0)


def _alarmed(ledger: Ledger, event: str) -> int:
    """Instances: the sweep and the job may both tell of one."""
    return len(ledger.ask("SELECT DISTINCT instance_id FROM audit_event WHERE event = ?", event))


def _file(ledger: Ledger, one: Image) -> Path:
    ((file,),) = ledger.ask("SELECT file FROM instance WHERE sop_instance_uid = ?", one.uid)
    return ledger.spool / str(file)


def _flip(path: Path) -> None:
    """One bit of the pixels."""
    with path.open("r+b") as file:
        file.seek(-1000, 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


def _held(ledger: Ledger, holds: bool) -> None:
    """The worker takes nothing meanwhile; not by `jobs hold`, whose audit would be in the way."""
    states = ("queued", "held") if holds else ("held", "queued")
    with closing(sqlite3.connect(ledger.database, timeout=10)) as connection:
        connection.execute("UPDATE job SET state = ? WHERE state = ?", (states[1], states[0]))
        connection.commit()


FAULTS = (
    Fault(
        number=45,
        what="files of the spool deleted, or one bit of them flipped, by hand",
        expected="`lost` or `corrupt` with an alarm, no result; the neighbour is assessed; sent again they are taken in anew",
        how="files of instances that wait for their analysis removed and changed, before the start and while it runs",
        scenario=spoiled,
        seconds=300,
    ),
)
