"""Fault 48: the operator ends the gateway while it is busy, or while a peer stalls."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.faults.fault import Fault, Point, at_most
from tests.faults.images import image
from tests.faults.senders import association, negotiation, send, storescu
from tests.faults.waiting import happens, wait_for
from tests.faults.workplace import Workplace

_LIMIT_SECONDS = 30


def ended_under_load(w: Workplace) -> Iterator[Point]:
    receiver = w.receiver().start()
    ledger, port = w.ledger(receiver), receiver.port
    held = image(1)
    with ThreadPoolExecutor(2) as pool, association(port, [held]) as assoc:
        for number in range(2):
            images = [image(1000 * (number + 1) + one, rows=512, columns=512) for one in range(60)]
            pool.submit(storescu, images, w.folder / f"modality{number}", port, w.log, options=("-to", "5"))
        wait_for(lambda: len(w.log.acknowledged) > 0 or ledger.count("instance") > 10, 20, "no sender came through")
        began = time.monotonic()
        receiver.terminate()
        happens(lambda: negotiation(port) != "accepted", 5)
        yield Point("new association while draining", negotiation(port), "rejected (transient)")
        yield Point("message of an open association", send(assoc, held, w.log), "0000")
        assoc.release()
        yield Point("exit code", receiver.wait_exit(_LIMIT_SECONDS), 0)
        yield Point("ended after", at_most(_LIMIT_SECONDS, time.monotonic() - began, "s"), f"at most {_LIMIT_SECONDS} s")
    yield Point(".part files", len(ledger.partial_files()), 0)
    yield from ledger.invariants(w.log.acknowledged)


def ended_with_a_stalled_peer(w: Workplace) -> Iterator[Point]:
    receiver = w.receiver(name="stalled").start()
    with socket.create_connection(("127.0.0.1", receiver.port)) as stalled, association(receiver.port, [image(1)]) as assoc:
        stalled.sendall(b"\x01\x00")
        half = bytes.fromhex("040000010000") + b"\x00\x00\x00\x00"
        assoc.dul.socket.socket.sendall(half)
        began = time.monotonic()
        receiver.terminate()
        yield Point("exit code with two stalled peers", receiver.wait_exit(_LIMIT_SECONDS), 0)
        yield Point("ended after", at_most(_LIMIT_SECONDS, time.monotonic() - began, "s"), f"at most {_LIMIT_SECONDS} s")


def ended(w: Workplace) -> Iterator[Point]:
    yield from ended_under_load(w)
    yield from ended_with_a_stalled_peer(w)


FAULTS = (
    Fault(
        number=48,
        what="SIGTERM under load; SIGTERM with a peer that stalls",
        expected="new associations rejected (transient), the current message finished, exit 0 within 30 s",
        how="two of DCMTK's storescu and an open association; sockets that stop within a PDU",
        scenario=ended,
        needs=("storescu",),
    ),
)
