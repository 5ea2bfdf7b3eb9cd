"""Fault 30: the peer vanishes in the middle of a data set, without a FIN."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from tests.faults.fault import Fault, Point
from tests.faults.images import image
from tests.faults.network import Cable, cable
from tests.faults.processes import load_of
from tests.faults.senders import storescu
from tests.faults.waiting import happens
from tests.faults.workplace import Workplace

_IDLE_SECONDS = 4
_DEADLINE_SECONDS = 10


@contextmanager
def _half_sent(wire: Cable, port: int) -> Iterator[IO[bytes]]:
    command = [*wire.inside, sys.executable, "-m", "tests.faults.half_sender", wire.ours, str(port)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.kill()
        process.communicate()


def vanished(w: Workplace) -> Iterator[Point]:
    wire = w.enter(cable())
    sections = {
        "serve": {"development": False},
        "receiver": {"host": wire.ours, "idle_seconds": _IDLE_SECONDS, "pdu_seconds": 2},
        "peers": [{"name": "room", "ae_title": "XRAY1"}],
    }
    receiver = w.receiver(sections=sections).start()
    ledger = w.ledger(receiver)
    storescu([image(2)], w.folder / "modality", receiver.port, w.log, host=wire.ours, command=wire.inside)
    yield Point("whole cable", w.log.answers, ["0000"])
    happens(lambda: ledger.count("association", "ended_at IS NULL") == 0, 5)
    before = load_of(receiver.pid)
    with _half_sent(wire, receiver.port) as said:
        yield Point("sent before the cable is pulled", said.readline().decode().strip(), "half")
        yield Point("sockets held for it", load_of(receiver.pid).sockets - before.sockets, 1)
        wire.pull()
        # no FIN and no RST has come: it is our own deadline that ends it
        yield Point("closed at once", happens(lambda: load_of(receiver.pid).sockets <= before.sockets, 1), False)
        closed = happens(lambda: load_of(receiver.pid).sockets <= before.sockets, _DEADLINE_SECONDS)
        yield Point(f"closed within {_DEADLINE_SECONDS} s", closed, True)
        yield Point("threads back", happens(lambda: load_of(receiver.pid).threads <= before.threads, 5), True)
    yield Point("associations still open", ledger.count("association", "ended_at IS NULL"), 0)
    yield Point(".part files", len(ledger.partial_files()), 0)
    yield Point("instances", ledger.count("instance"), 1)
    yield from ledger.invariants(w.log.acknowledged)


FAULTS = (
    Fault(
        number=30,
        what="the peer vanishes in the middle of a data set",
        expected="closed within the deadline, no `.part`, its threads are given back",
        how="a modality in a network namespace whose cable is pulled; `pdu_seconds` 2, `idle_seconds` 4",
        scenario=vanished,
        needs=("root", "ip", "storescu"),
    ),
)
