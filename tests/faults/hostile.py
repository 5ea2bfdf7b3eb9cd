"""Faults 31 to 35: peers that take places, time, memory or descriptors, or do not speak DICOM."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from tests.faults import wire
from tests.faults.fault import Fault, Point, at_most
from tests.faults.images import image
from tests.faults.ledger import Ledger
from tests.faults.processes import Load, load_of
from tests.faults.receiver import Receiver
from tests.faults.senders import SentLog, send_all, storescu
from tests.faults.waiting import happens
from tests.faults.workplace import Workplace

_SHORT: Final = {"pdu_seconds": 2, "idle_seconds": 4, "message_seconds": 8}
_DEADLINE_SECONDS: Final = 6
"""Longer than any of these limits."""
_LEGITIMATE_SECONDS: Final = 10


@contextmanager
def _under_attack(receiver: Receiver) -> Iterator[Callable[[], Iterator[Point]]]:
    """What the attack must leave behind: the same process, its threads and descriptors back at what they were."""
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
    """A modality at another address sends meanwhile."""
    began = time.monotonic()
    log = w.log
    before = len(log.answers)
    storescu([image(number)], w.folder / "modality", receiver.port, log, options=("-to", "20", "-ta", "20", "-td", "20"))
    yield Point("a modality at another address meanwhile", log.answers[before:], ["0000"])
    yield Point("after", at_most(_LEGITIMATE_SECONDS, time.monotonic() - began, "s"), f"at most {_LEGITIMATE_SECONDS} s")


def _cores_used(pid: int, seconds: float) -> float:
    """CPU time of a process over a while, as a share of that while."""
    before, began = load_of(pid).cpu_seconds, time.monotonic()
    time.sleep(seconds)
    return (load_of(pid).cpu_seconds - before) / (time.monotonic() - began)


def many_connections(w: Workplace) -> Iterator[Point]:
    receiver = w.receiver(sections={"receiver": _SHORT | {"max_connections_per_address": 20}}).start()
    with _under_attack(receiver) as afterwards, ExitStack() as open_ones:
        start = load_of(receiver.pid)
        for _ in range(1000):
            with suppress(OSError):
                open_ones.enter_context(wire.connected(receiver.port, source="127.0.0.2"))
        now = load_of(receiver.pid)
        yield Point("connections held of 1000", at_most(20, now.sockets - start.sockets, "sockets"), "at most 20 sockets")
        yield Point("less than one core used by them", _cores_used(receiver.pid, 2) < 0.9, True)
        yield from _legitimate(w, receiver, 1)
        open_ones.close()
        yield from afterwards()
    yield Point("alarm in the audit", w.ledger(receiver).audited("connection:refused", reason="address_limit") > 0, True)
    yield from w.ledger(receiver).invariants(w.log.acknowledged)


def slow_ones(w: Workplace) -> Iterator[Point]:
    receiver = w.receiver(sections={"receiver": _SHORT}).start()
    with _under_attack(receiver) as afterwards, ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        stalled = stack.enter_context(wire.connected(receiver.port, source="127.0.0.2"))
        silent = stack.enter_context(wire.connected(receiver.port, source="127.0.0.3"))
        dripping = stack.enter_context(wire.connected(receiver.port, source="127.0.0.4"))
        halted = stack.enter_context(wire.connected(receiver.port, source="127.0.0.5"))
        stalled.sendall(b"\x01\x00")
        pool.submit(_drip, dripping, wire.associate_request(image(1)))
        wire.associated(halted, image(1))
        halted.sendall(wire.store_command(image(1)) + wire.fragment(image(1).content, wire.LAST)[:1000])
        yield from _legitimate(w, receiver, 2)
        for name, connection in (
            ("2 bytes, then nothing", stalled),
            ("one byte in half a second", dripping),
            ("nothing within a data set", halted),
        ):
            yield Point(f"{name}: closed within {_DEADLINE_SECONDS} s", wire.closed_by_peer(connection, _DEADLINE_SECONDS), True)
        # the ARTIM timer is pynetdicom's acse_timeout, at most idle_seconds
        yield Point(f"no byte at all: closed within {_DEADLINE_SECONDS} s", wire.closed_by_peer(silent, _DEADLINE_SECONDS), True)
        yield from afterwards()
    yield from w.ledger(receiver).invariants(w.log.acknowledged)


def _drip(connection: socket.socket, content: bytes) -> None:
    for byte in content:
        if not wire.push(connection, bytes([byte])):
            return
        time.sleep(0.5)


def large_ones(w: Workplace) -> Iterator[Point]:
    limits = _SHORT | {"max_message_mb": 16, "memory_mb": 48}
    receiver = w.receiver(sections={"receiver": limits}).start()
    with _under_attack(receiver) as afterwards:
        base, highest = load_of(receiver.pid).rss_mb, _Highest(receiver.pid)
        with wire.connected(receiver.port, source="127.0.0.2") as bomb:
            began = time.monotonic()
            bomb.sendall(bytes.fromhex("0100fffffff0"))
            with suppress(OSError):
                bomb.sendall(bytes(1 << 20))
            yield Point("header of a 4 GiB PDU: closed", wire.closed_by_peer(bomb, 5), True)
            yield Point("after", at_most(1, time.monotonic() - began, "s"), "at most 1 s")
        highest.look()
        with wire.connected(receiver.port, source="127.0.0.3") as endless:
            yield Point("endless P-DATA: associated", wire.associated(endless, image(1)), True)
            endless.sendall(wire.store_command(image(1)))
            began = time.monotonic()
            while time.monotonic() - began < 20 and wire.push(endless, wire.fragment(bytes(100_000), 0)):
                highest.look()
            yield Point("closed within 20 s", time.monotonic() - began < 20, True)
        with wire.connected(receiver.port, source="127.0.0.4") as pipelining:
            wire.associated(pipelining, image(1))
            yield from _pipelined(w, pipelining, highest)
        yield from _legitimate(w, receiver, 2)
        # what the interpreter keeps, beside the budget
        yield Point("memory above that at rest", at_most(48 + 80, highest.rss_mb - base, "MB"), "at most 128 MB")
        yield from afterwards()
    yield from w.ledger(receiver).invariants(w.log.acknowledged)


class _Highest:
    """The largest resident memory that was seen."""

    def __init__(self, pid: int) -> None:
        self._pid, self.rss_mb = pid, 0.0

    def look(self) -> None:
        self.rss_mb = max(self.rss_mb, load_of(self._pid).rss_mb)


def _pipelined(w: Workplace, connection: socket.socket, highest: _Highest) -> Iterator[Point]:
    """60 requests of 4 MB, none waiting for the answer to the one before; the answers are counted at the end."""
    images = [image(100 + number, rows=2048, columns=1024) for number in range(60)]
    connection.settimeout(60)
    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(_count_answers, connection, len(images))
        for number, one in enumerate(images, 1):
            wire.push(connection, wire.store_message(one, number))
            highest.look()
        stored = answers.result(60)
    yield Point("60 pipelined stores of 4 MB, answered 0000", stored, 60)
    for one in images[:stored]:
        w.log.note(one, "0000")


def _count_answers(connection: socket.socket, wanted: int) -> int:
    """Successes among so many C-STORE-RSP."""
    found = 0
    for _ in range(wanted):
        head = connection.recv(6, socket.MSG_WAITALL)
        if len(head) < 6 or head[0] != 0x04:
            break
        body = connection.recv(int.from_bytes(head[2:], "big"), socket.MSG_WAITALL)
        # (0000,0900) US, length 2
        place = body.find(b"\x00\x00\x00\x09\x02\x00\x00\x00")
        found += place >= 0 and body[place + 8 : place + 10] == b"\x00\x00"
    return found


def descriptors(w: Workplace) -> Iterator[Point]:
    many = w.receiver(
        name="many", arguments=("tests.faults.odd_receiver", "--open-files", "1100"), command=("prlimit", "--nofile=4096")
    ).start()
    yield Point("more than 1024 open", load_of(many.pid).descriptors > 1024, True)
    yield Point("a data set over descriptors above 1024", send_all(many.port, [image(1)], w.log), ["0000"])
    yield from w.ledger(many).invariants(w.log.acknowledged)
    many.stop()
    limits = {"max_connections": 1000, "max_connections_per_address": 1000} | _SHORT
    few = w.receiver(name="few", sections={"receiver": limits}, command=("prlimit", "--nofile=120")).start()
    w.log.acknowledged.clear()
    with _under_attack(few) as afterwards, ExitStack() as open_ones:
        for _ in range(300):
            with suppress(OSError):
                open_ones.enter_context(wire.connected(few.port, source="127.0.0.2"))
        yield Point("less than one core used without a free descriptor", _cores_used(few.pid, 2) < 0.9, True)
        open_ones.close()
        yield from afterwards()
    yield Point("a data set afterwards", send_all(few.port, [image(2)], w.log), ["0000"])
    yield from w.ledger(few).invariants(w.log.acknowledged)


def no_dicom(w: Workplace) -> Iterator[Point]:
    receiver = w.receiver(sections={"receiver": _SHORT}).start()
    ledger = w.ledger(receiver)
    dice = random.Random(35)
    hello = bytes.fromhex("1603010200010001fc0303") + dice.randbytes(507)
    said = {
        "random bytes": b"\xfe" + dice.randbytes(4095),
        "HTTP GET": b"GET / HTTP/1.1\r\nHost: strnet\r\n\r\n",
        "TLS to the plain port": hello,
        "a PDU type that does not exist": bytes.fromhex("420000000004") + bytes(4),
        "an A-ASSOCIATE-RQ of garbage": bytes.fromhex("010000000200") + dice.randbytes(512),
        "P-DATA before an association": wire.store_command(image(1)),
    }
    with _under_attack(receiver) as afterwards:
        for number, (name, content) in enumerate(said.items(), 2):
            address = f"127.0.0.{number}"
            with wire.connected(receiver.port, source=address) as connection:
                wire.push(connection, content)
                closed = wire.closed_by_peer(connection, _DEADLINE_SECONDS)
            yield Point(f"{name}: closed", closed, True)
            told = happens(lambda address=address: _alerts(ledger, address) > 0, 5)  # type: ignore[misc]
            yield Point("alert", told and _alerts(ledger, address), 1)
        yield Point("200 mutants of a whole C-STORE: survived", _fuzz(receiver, dice), 200)
        yield from _legitimate(w, receiver, 2)
        yield from afterwards()
    yield Point("defects logged", len(receiver.events("process:failed")) + len(receiver.events("thread:failed")), 0)
    yield from ledger.invariants(w.log.acknowledged)


def _alerts(ledger: Ledger, address: str) -> int:
    return sum(ledger.audited(event, peer_address=address) for event in ("connection:cut", "connection:refused", "association:rejected"))


def _fuzz(receiver: Receiver, dice: random.Random) -> int:
    """A valid exchange with some bytes changed, over and over; how many the receiver outlived."""
    whole = wire.associate_request(image(1)) + wire.store_message(image(1))
    pid, survived = receiver.pid, 0
    for _ in range(200):
        mutant = bytearray(whole)
        for _ in range(dice.randint(1, 12)):
            mutant[dice.randrange(len(mutant))] = dice.randrange(256)
        with suppress(OSError), wire.connected(receiver.port, source="127.0.0.9") as connection:
            wire.push(connection, bytes(mutant))
            connection.shutdown(socket.SHUT_WR)
            wire.closed_by_peer(connection, 1)
        survived += receiver.pid == pid and receiver.exit_code is None
    return survived


FAULTS = (
    Fault(
        number=31,
        what="1000 TCP connections without a byte",
        expected="the cap per address holds, under one core, a modality at another address is served, all is given back",
        how="sockets from 127.0.0.2; DCMTK's storescu from 127.0.0.1",
        scenario=many_connections,
        needs=("storescu",),
    ),
    Fault(
        number=32,
        what="peers that stall within a PDU, send a byte in half a second, or nothing",
        expected="closed within their deadlines; others are served meanwhile",
        how="sockets; `pdu_seconds` 2, `idle_seconds` 4",
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
        seconds=120,
    ),
    Fault(
        number=34,
        what="more than 1024 open descriptors; none left (EMFILE)",
        expected="works; no spinning, recovers when some are given back",
        how="files opened beforehand; prlimit and 300 connections",
        scenario=descriptors,
        needs=("prlimit",),
        seconds=90,
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
