"""Faults 31 to 35: peers that take places, time, memory or descriptors, or do not speak DICOM."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from tests.faults.fault import Fault, Point, at_most
from tests.faults.images import Image, image
from tests.faults.ledger import Ledger
from tests.faults.processes import Load, load_of
from tests.faults.receiver import Receiver
from tests.faults.senders import SentLog, send_all, storescu
from tests.faults.waiting import happens
from tests.faults.workplace import Workplace
from tests.peers.raw_peer import (
    ACCEPT,
    COMMAND,
    LAST,
    P_DATA,
    STALLED,
    RawPeer,
    association_request,
    fragment,
    pdu,
    store_command,
    store_request,
)

_SHORT: Final = {"pdu_seconds": 2, "idle_seconds": 4, "message_seconds": 8}
_DEADLINE_SECONDS: Final = 10
"""Longer than any of them."""
_LEGITIMATE_SECONDS: Final = 20
_LESS_THAN_A_CORE: Final = 0.9


@contextmanager
def _attacked(receiver: Receiver) -> Iterator[Callable[[], Iterator[Point]]]:
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


def _legitimate(w: Workplace, receiver: Receiver, number: int) -> Iterator[Point]:
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


def _closed(peer: RawPeer, seconds: float) -> bool:
    """True when the receiver ends the connection within the time, whatever it says before."""
    peer.socket.settimeout(seconds)
    try:
        peer.until_closed()
    except TimeoutError:
        return False
    return True


def many_connections(w: Workplace) -> Iterator[Point]:
    receiver = w.receiver(sections={"receiver": _SHORT | {"max_connections_per_address": 20}}).start()
    with _attacked(receiver) as afterwards, ExitStack() as open_ones:
        start = load_of(receiver.pid)
        for _ in range(1000):
            with suppress(OSError):
                open_ones.enter_context(RawPeer(receiver.port, source="127.0.0.2"))
        yield Point("held of 1000", at_most(20, load_of(receiver.pid).sockets - start.sockets, "sockets"), "at most 20 sockets")
        yield Point("a core is spent on them", _spins(receiver.pid), False)
        yield from _legitimate(w, receiver, 1)
        open_ones.close()
        yield from afterwards()
    ledger = w.ledger(receiver)
    yield Point("alarm in the audit", ledger.audited("connection:refused", reason="address_limit") > 0, True)
    yield from ledger.invariants(w.log.acknowledged)


def slow_ones(w: Workplace) -> Iterator[Point]:
    receiver = w.receiver(sections={"receiver": _SHORT}).start()
    with _attacked(receiver) as afterwards, ExitStack() as stack, ThreadPoolExecutor(1) as pool:
        stalled, silent, dripping, halted = (
            stack.enter_context(RawPeer(receiver.port, source=f"127.0.0.{number}")) for number in range(2, 6)
        )
        stalled.send(STALLED)
        pool.submit(_drip, dripping, association_request())
        halted.associate()
        halted.send(b"".join(store_request(image(1).content, image(1).uid))[:-1000])
        yield from _legitimate(w, receiver, 2)
        for name, peer in (
            ("2 bytes, then nothing", stalled),
            ("a byte in half a second", dripping),
            ("nothing within a data set", halted),
            ("no byte at all", silent),
        ):
            yield Point(f"{name}: closed in time", _closed(peer, _DEADLINE_SECONDS), True)
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


_BUDGET_MB: Final = 48
_BESIDE_THE_BUDGET_MB: Final = 80
"""What the interpreter takes for threads, connections and copies of what is being written."""


def large_ones(w: Workplace) -> Iterator[Point]:
    limits = _SHORT | {"max_message_mb": 16, "memory_mb": _BUDGET_MB}
    receiver = w.receiver(sections={"receiver": limits}).start()
    most = _BUDGET_MB + _BESIDE_THE_BUDGET_MB
    with _attacked(receiver) as afterwards:
        memory = _Memory(receiver.pid)
        with RawPeer(receiver.port, source="127.0.0.2") as bomb:
            bomb.send(pdu(1, bytes(1 << 20), claims=0xFFFFFFF0))
            yield Point("header of a 4 GiB PDU: closed within 3 s", _closed(bomb, 3), True)
        memory.look()
        with RawPeer(receiver.port, source="127.0.0.3") as endless:
            yield Point("endless P-DATA: closed within 20 s", _pour(endless, memory, 20), True)
        with RawPeer(receiver.port, source="127.0.0.4") as pipelining:
            yield Point("60 pipelined stores of 4 MB: answered 0000", _pipelined(w, pipelining, memory), 60)
        yield from _legitimate(w, receiver, 2)
        yield Point("memory above that at rest", at_most(most, memory.highest - memory.at_rest, "MB"), f"at most {most} MB")
        yield from afterwards()
    yield from w.ledger(receiver).invariants(w.log.acknowledged)


class _Memory:
    """Resident memory of a process in MiB: at rest, and the most that was seen since."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.at_rest = self.highest = load_of(pid).rss_mb

    def look(self) -> None:
        self.highest = max(self.highest, load_of(self._pid).rss_mb)


def _pour(peer: RawPeer, memory: _Memory, seconds: float) -> bool:
    """Fragments of one data set without end; true when the receiver closes within the time."""
    if peer.associate() != ACCEPT:
        return False
    began = time.monotonic()
    with suppress(OSError):
        peer.socket.sendall(pdu(P_DATA, fragment(COMMAND | LAST, store_command())))
        while time.monotonic() - began < seconds:
            peer.socket.sendall(pdu(P_DATA, fragment(0, bytes(100_000))))
            memory.look()
    return time.monotonic() - began < seconds


def _pipelined(w: Workplace, peer: RawPeer, memory: _Memory) -> int:
    """Requests of 4 MB, none waiting for the answer to the one before; how many were answered 0000."""
    images = [image(100 + number, rows=2048, columns=1024) for number in range(60)]
    if peer.associate() != ACCEPT:
        return 0
    peer.socket.settimeout(60)
    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(lambda: [peer.status() for _ in images])
        for number, one in enumerate(images, 1):
            for part in store_request(one.content, one.uid, message_id=number):
                peer.send(part)
            memory.look()
        statuses = answers.result(60)
    for one, status in zip(images, statuses, strict=True):
        w.log.note(one, f"{status:04X}" if status is not None else "no answer")
    return statuses.count(0)


def descriptors(w: Workplace) -> Iterator[Point]:
    odd = ("tests.faults.odd_receiver", "--open-files", "1100")
    many = w.receiver(name="many", arguments=odd, command=("prlimit", "--nofile=4096")).start()
    yield Point("more than 1024 open", load_of(many.pid).descriptors > 1024, True)
    yield Point("a data set over a descriptor above 1024", send_all(many.port, [image(1)], w.log), ["0000"])
    yield from w.ledger(many).invariants(w.log.acknowledged)
    many.stop()
    limits = {"max_connections": 1000, "max_connections_per_address": 1000} | _SHORT
    few = w.receiver(name="few", sections={"receiver": limits}, command=("prlimit", "--nofile=120")).start()
    log = SentLog()
    with _attacked(few) as afterwards, ExitStack() as open_ones:
        for _ in range(300):
            with suppress(OSError):
                open_ones.enter_context(RawPeer(few.port, source="127.0.0.2"))
        yield Point("a core is spent without a free descriptor", _spins(few.pid), False)
        open_ones.close()
        yield from afterwards()
    yield Point("a data set afterwards", send_all(few.port, [image(2)], log), ["0000"])
    yield from w.ledger(few).invariants(log.acknowledged)


def _strange(dice: random.Random) -> dict[str, bytes]:
    """What no DICOM peer begins with."""
    return {
        "random bytes": b"\xfe" + dice.randbytes(4095),
        "HTTP GET": b"GET / HTTP/1.1\r\nHost: strnet\r\n\r\n",
        "TLS to the plain port": bytes.fromhex("1603010200010001fc0303") + dice.randbytes(507),
        "a PDU type that does not exist": pdu(0x42, bytes(4)),
        "an A-ASSOCIATE-RQ of garbage": pdu(1, dice.randbytes(512)),
        "P-DATA before an association": pdu(P_DATA, fragment(COMMAND | LAST, store_command())),
    }


def no_dicom(w: Workplace) -> Iterator[Point]:
    receiver = w.receiver(sections={"receiver": _SHORT}).start()
    ledger = w.ledger(receiver)
    dice = random.Random(35)
    with _attacked(receiver) as afterwards:
        for number, (name, content) in enumerate(_strange(dice).items(), 2):
            address = f"127.0.0.{number}"
            with RawPeer(receiver.port, source=address) as peer:
                peer.send(content)
                yield Point(f"{name}: closed", _closed(peer, _DEADLINE_SECONDS), True)
            happens(lambda address=address: _alerts(ledger, address) > 0, 5)  # type: ignore[misc]
            yield Point("alerts", _alerts(ledger, address), 1)
        yield Point("200 mutants of a whole C-STORE: outlived", _fuzz(receiver, dice, image(1)), 200)
        yield from _legitimate(w, receiver, 2)
        yield from afterwards()
    yield Point("defects logged", len(receiver.events("process:failed")) + len(receiver.events("thread:failed")), 0)
    yield from ledger.invariants(w.log.acknowledged)


def _alerts(ledger: Ledger, address: str) -> int:
    return sum(ledger.audited(event, peer_address=address) for event in ("connection:cut", "connection:refused", "association:rejected"))


def _fuzz(receiver: Receiver, dice: random.Random, one: Image) -> int:
    """A valid exchange with some bytes changed, over and over; how many the receiver's process outlived."""
    whole = association_request() + b"".join(store_request(one.content, one.uid))
    pid, outlived = receiver.pid, 0
    for _ in range(200):
        mutant = bytearray(whole)
        for _ in range(dice.randint(1, 12)):
            mutant[dice.randrange(len(mutant))] = dice.randrange(256)
        with suppress(OSError), RawPeer(receiver.port, source="127.0.0.9") as peer:
            peer.send(bytes(mutant))
            peer.socket.shutdown(socket.SHUT_WR)
            _closed(peer, 1)
        outlived += receiver.pid == pid and receiver.exit_code is None
    return outlived


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
        number=33,
        what="a header of 4 GiB, endless P-DATA, 60 pipelined stores of 4 MB",
        expected="refused, closed, held back; memory stays within its budget",
        how="sockets; `max_message_mb` 16, `memory_mb` 48",
        scenario=large_ones,
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
    Fault(
        number=35,
        what="random bytes, HTTP, TLS to the plain port, garbage PDUs, mutants of a C-STORE",
        expected="closed, no crash, one alert for each address",
        how="sockets from addresses of their own",
        scenario=no_dicom,
        needs=("storescu",),
    ),
)
