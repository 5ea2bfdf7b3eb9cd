"""Faults 31, 32 and 34: peers that take places, time or descriptors. What the other hostile peers have in common with them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from tests.faults.fault import Fault, Point, at_most
from tests.faults.images import image
from tests.faults.processes import Load, load_of
from tests.faults.receiver import Receiver
from tests.faults.senders import SentLog, send_all, storescu
from tests.faults.waiting import happens
from tests.faults.workplace import Workplace
from tests.peers.raw_peer import (
    STALLED,
    RawPeer,
    association_request,
    store_request,
)

SHORT: Final = {"pdu_seconds": 2, "idle_seconds": 4, "message_seconds": 8}
DEADLINE_SECONDS: Final = 10
"""Longer than any of them."""
_LEGITIMATE_SECONDS: Final = 20
_LESS_THAN_A_CORE: Final = 0.9


@contextmanager
def attacked(receiver: Receiver) -> Iterator[Callable[[], Iterator[Point]]]:
    """What an attack must leave behind: the same process, with the threads and sockets that it had before."""
    before, pid = _settled(receiver), receiver.pid

    def points() -> Iterator[Point]:
        yield Point("same process afterwards", receiver.pid == pid, True)
        back = happens(lambda: _is_back(before, load_of(pid)), 30)
        yield Point("threads and sockets back", True if back else _difference(before, load_of(pid)), True)

    yield points


def _settled(receiver: Receiver) -> Load:
    """After one legitimate association, so that what is made once is there, and none of it is left."""
    at_rest = load_of(receiver.pid)
    send_all(receiver.port, [image(900)], SentLog())
    happens(lambda: load_of(receiver.pid).sockets <= at_rest.sockets, 5)
    return load_of(receiver.pid)


def _is_back(before: Load, now: Load) -> bool:
    """Threads but for a few that wait for work; sockets all. Connections to the database are kept for the next use."""
    return now.threads <= before.threads + 3 and now.sockets <= before.sockets


def _difference(before: Load, now: Load) -> str:
    return f"{now.threads - before.threads} threads and {now.sockets - before.sockets} sockets more"


def legitimate(w: Workplace, receiver: Receiver, number: int) -> Iterator[Point]:
    """A modality at 127.0.0.1 sends meanwhile; the attackers have other addresses."""
    began, before = time.monotonic(), len(w.log.answers)
    storescu([image(number)], w.folder / "modality", receiver.port, w.log, options=("-to", "20", "-ta", "20", "-td", "20"))
    yield Point("a modality at another address meanwhile", w.log.answers[before:], ["0000"])
    yield Point("served within", at_most(_LEGITIMATE_SECONDS, time.monotonic() - began, "s"), f"at most {_LEGITIMATE_SECONDS} s")


def _spins(pid: int) -> bool:
    """True when a process takes about a core over two seconds."""
    before, began = load_of(pid).cpu_seconds, time.monotonic()
    time.sleep(2)
    return (load_of(pid).cpu_seconds - before) / (time.monotonic() - began) >= _LESS_THAN_A_CORE


def closed(peer: RawPeer, seconds: float) -> bool:
    """True when the receiver ends the connection within the time, whatever it says before."""
    peer.socket.settimeout(seconds)
    try:
        peer.until_closed()
    except TimeoutError:
        return False
    return True


def many_connections(w: Workplace) -> Iterator[Point]:
    receiver = w.receiver(sections={"receiver": SHORT | {"max_connections_per_address": 20}}).start()
    with attacked(receiver) as afterwards, ExitStack() as open_ones:
        start = load_of(receiver.pid)
        for _ in range(1000):
            with suppress(OSError):
                open_ones.enter_context(RawPeer(receiver.port, source="127.0.0.2"))
        yield Point("held of 1000", at_most(20, load_of(receiver.pid).sockets - start.sockets, "sockets"), "at most 20 sockets")
        yield Point("a core is spent on them", _spins(receiver.pid), False)
        yield from legitimate(w, receiver, 1)
        open_ones.close()
        yield from afterwards()
    ledger = w.ledger(receiver)
    yield Point("alarm in the audit", ledger.audited("connection:refused", reason="address_limit") > 0, True)
    yield from ledger.invariants(w.log.acknowledged)


def slow_ones(w: Workplace) -> Iterator[Point]:
    receiver = w.receiver(sections={"receiver": SHORT}).start()
    with attacked(receiver) as afterwards, ExitStack() as stack, ThreadPoolExecutor(1) as pool:
        stalled, silent, dripping, halted = (
            stack.enter_context(RawPeer(receiver.port, source=f"127.0.0.{number}")) for number in range(2, 6)
        )
        stalled.send(STALLED)
        pool.submit(_drip, dripping, association_request())
        halted.associate()
        halted.send(b"".join(store_request(image(1).content, image(1).uid))[:-1000])
        yield from legitimate(w, receiver, 2)
        for name, peer in (
            ("2 bytes, then nothing", stalled),
            ("a byte in half a second", dripping),
            ("nothing within a data set", halted),
            ("no byte at all", silent),
        ):
            yield Point(f"{name}: closed in time", closed(peer, DEADLINE_SECONDS), True)
        yield from afterwards()
    yield from w.ledger(receiver).invariants(w.log.acknowledged)


def _drip(peer: RawPeer, content: bytes) -> None:
    """Until the receiver has had enough of it."""
    for byte in content:
        try:
            peer.socket.sendall(bytes([byte]))
        except OSError:
            return
        time.sleep(0.5)


def descriptors(w: Workplace) -> Iterator[Point]:
    odd = ("tests.faults.odd_receiver", "--open-files", "1100")
    many = w.receiver(name="many", arguments=odd, command=("prlimit", "--nofile=4096")).start()
    yield Point("more than 1024 open", load_of(many.pid).descriptors > 1024, True)
    yield Point("a data set over a descriptor above 1024", send_all(many.port, [image(1)], w.log), ["0000"])
    yield from w.ledger(many).invariants(w.log.acknowledged)
    many.stop()
    limits = {"max_connections": 1000, "max_connections_per_address": 1000} | SHORT
    few = w.receiver(name="few", sections={"receiver": limits}, command=("prlimit", "--nofile=120")).start()
    log = SentLog()
    with attacked(few) as afterwards, ExitStack() as open_ones:
        for _ in range(300):
            with suppress(OSError):
                open_ones.enter_context(RawPeer(few.port, source="127.0.0.2"))
        yield Point("a core is spent without a free descriptor", _spins(few.pid), False)
        open_ones.close()
        yield from afterwards()
    yield Point("a data set afterwards", send_all(few.port, [image(2)], log), ["0000"])
    yield from w.ledger(few).invariants(log.acknowledged)


FAULTS = (
    Fault(
        number=31,
        what="1000 TCP connections without a byte",
        expected="the cap per address holds, under one core, a modality at another address is served, all is given back",
        how="sockets from 127.0.0.2, `max_connections_per_address` 20; DCMTK's storescu from 127.0.0.1",
        scenario=many_connections,
        needs=("storescu",),
    ),
    Fault(
        number=32,
        what="peers that stall within a PDU, send a byte in half a second, or nothing",
        expected="closed at their deadlines; others are served meanwhile",
        how="sockets; `pdu_seconds` 2, `idle_seconds` 4, and at most 10 s waited",
        scenario=slow_ones,
        needs=("storescu",),
    ),
    Fault(
        number=34,
        what="more than 1024 open descriptors; none left (EMFILE)",
        expected="works; no spinning, recovers when some are given back",
        how="files opened beforehand; prlimit and 300 connections",
        scenario=descriptors,
        needs=("prlimit",),
    ),
)
