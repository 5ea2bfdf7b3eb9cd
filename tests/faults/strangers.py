"""Faults 33 and 35: peers that send too much, and peers that speak no DICOM."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from tests.faults.fault import Fault, Point, at_most
from tests.faults.hostile import DEADLINE_SECONDS, SHORT, attacked, closed, legitimate
from tests.faults.images import Image, image
from tests.faults.ledger import Ledger
from tests.faults.processes import load_of
from tests.faults.receiver import Receiver
from tests.faults.waiting import happens
from tests.faults.workplace import Workplace
from tests.peers.raw_peer import ACCEPT, COMMAND, LAST, P_DATA, RawPeer, association_request, fragment, pdu, store_command, store_request

_BUDGET_MB: Final = 48
_BESIDE_THE_BUDGET_MB: Final = 80
"""What the interpreter takes for threads, connections and copies of what is being written."""


def large_ones(w: Workplace) -> Iterator[Point]:
    limits = SHORT | {"max_message_mb": 16, "memory_mb": _BUDGET_MB}
    receiver = w.receiver(sections={"receiver": limits}).start()
    most = _BUDGET_MB + _BESIDE_THE_BUDGET_MB
    with attacked(receiver) as afterwards:
        memory = _Memory(receiver.pid)
        with RawPeer(receiver.port, source="127.0.0.2") as bomb:
            bomb.send(pdu(1, bytes(1 << 20), claims=0xFFFFFFF0))
            yield Point("header of a 4 GiB PDU: closed within 3 s", closed(bomb, 3), True)
        memory.look()
        with RawPeer(receiver.port, source="127.0.0.3") as endless:
            yield Point("endless P-DATA: closed within 20 s", _pour(endless, memory, 20), True)
        with RawPeer(receiver.port, source="127.0.0.4") as pipelining:
            yield Point("60 pipelined stores of 4 MB: answered 0000", _pipelined(w, pipelining, memory), 60)
        yield from legitimate(w, receiver, 2)
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
    receiver = w.receiver(sections={"receiver": SHORT}).start()
    ledger = w.ledger(receiver)
    dice = random.Random(35)
    with attacked(receiver) as afterwards:
        for number, (name, content) in enumerate(_strange(dice).items(), 2):
            address = f"127.0.0.{number}"
            with RawPeer(receiver.port, source=address) as peer:
                peer.send(content)
                yield Point(f"{name}: closed", closed(peer, DEADLINE_SECONDS), True)
            happens(lambda address=address: _alerts(ledger, address) > 0, 5)  # type: ignore[misc]
            yield Point("alerts", _alerts(ledger, address), 1)
        yield Point("200 mutants of a whole C-STORE: outlived", _fuzz(receiver, dice, image(1)), 200)
        yield from legitimate(w, receiver, 2)
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
            closed(peer, 1)
        outlived += receiver.pid == pid and receiver.exit_code is None
    return outlived


FAULTS = (
    Fault(
        number=33,
        what="a header of 4 GiB, endless P-DATA, 60 pipelined stores of 4 MB",
        expected="refused, closed, held back; memory stays within its budget",
        how="sockets; `max_message_mb` 16, `memory_mb` 48",
        scenario=large_ones,
        needs=("storescu",),
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
