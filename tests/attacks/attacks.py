"""The attacks. Each comes from 127.0.0.2, says when it is under way, goes on until it is over, and tells whether it was repelled."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from threading import Event
from typing import Final

from pydicom.dataset import Dataset

from tests.peers.raw_peer import (
    ABORT,
    ACCEPT,
    COMMAND,
    LAST,
    P_DATA,
    REJECT,
    STALLED,
    RawPeer,
    association_request,
    echo_command,
    echo_request,
    fragment,
    pdu,
    store_command,
    store_request,
)

SOURCE: Final = "127.0.0.2"
DX: Final = "1.2.840.10008.5.1.4.1.1.1.1"
_MIB: Final = 1024 * 1024

Action = Callable[[int, Event, Event], bool]
"""(port, under way, over) -> repelled as expected."""


@dataclass(frozen=True)
class Attack:
    """run: the attack. expected: what must come of it. growth_mb: what resident memory may grow by meanwhile."""

    name: str
    expected: str
    run: Action
    growth_mb: float = 32


@contextmanager
def connected(port: int, count: int, said: bytes = b"", *, associate: bool = False) -> Iterator[list[RawPeer]]:
    """So many connections that have said something."""
    with ExitStack() as stack:
        peers = [stack.enter_context(RawPeer(port, source=SOURCE)) for _ in range(count)]
        for peer in peers:
            if associate and peer.associate() != ACCEPT:
                continue
            peer.send(said)
        yield peers


def all_closed(peers: list[RawPeer]) -> bool:
    return all(set(peer.until_closed()) <= {ABORT, REJECT} for peer in peers)


def stalled(said: bytes, count: int, *, associate: bool = False) -> Action:
    """Connections that begin something and say no more."""

    def run(port: int, under_way: Event, over: Event) -> bool:
        with connected(port, count, said, associate=associate) as peers:
            under_way.set()
            over.wait()
            return all_closed(peers)

    return run


def many_connections(port: int, under_way: Event, over: Event) -> bool:
    """1,000 that say nothing."""
    with connected(port, 1000) as peers:
        under_way.set()
        over.wait()
        return all_closed(peers)


def slow_lorises(port: int, under_way: Event, over: Event) -> bool:
    """A byte now and then, for ever."""
    with connected(port, 20) as peers:
        began = time.monotonic()
        for byte in association_request():
            for peer in peers:
                peer.send(bytes([byte]))
            under_way.set()
            Event().wait(0.1)
            if time.monotonic() - began > 6:
                break
        over.wait()
        return all_closed(peers)


def repeated(once: Callable[[int, int], bool], least: int) -> Action:
    """Something short again and again, at least so often, until it is over."""

    def run(port: int, under_way: Event, over: Event) -> bool:
        repelled, number = True, 0
        while number < least or not over.is_set():
            repelled = once(port, number) and repelled
            under_way.set()
            number += 1
        return repelled

    return run


def announced(port: int, _number: int) -> bool:
    """A PDU of 4 GiB, and 16 MiB of it."""
    with RawPeer(port, source=SOURCE) as peer:
        peer.send(pdu(1, b"", claims=0xFFFFFFFF) + bytes(16 * _MIB))
        return set(peer.until_closed()) <= {ABORT}


def endless_message(port: int, _number: int) -> bool:
    """Fragments without a last one."""
    with RawPeer(port, source=SOURCE) as peer:
        if peer.associate() != ACCEPT:
            return True
        peer.send(pdu(P_DATA, fragment(COMMAND | LAST, store_command())))
        part = pdu(P_DATA, fragment(0, bytes(131000)))
        for _ in range(600):
            peer.send(part)
        return set(peer.until_closed()) <= {ABORT}


def endless_command(port: int, _number: int) -> bool:
    with RawPeer(port, source=SOURCE) as peer:
        if peer.associate() != ACCEPT:
            return True
        for _ in range(20):
            peer.send(pdu(P_DATA, fragment(COMMAND, bytes(1000))))
        return set(peer.until_closed()) <= {ABORT}


def pipelined(port: int, under_way: Event, over: Event) -> bool:
    """60 stores of 4 MB, none of them waiting for its answer."""
    content = data_set("1.2.3.1", PixelData=bytes(4_000_000), Rows=2000, Columns=1000)
    with RawPeer(port, source=SOURCE) as peer:
        repelled = peer.associate() == ACCEPT
        under_way.set()
        for number in range(60):
            for part in store_request(content, "1.2.3.1", message_id=number + 1):
                peer.send(part)
        repelled = repelled and [peer.status() for _ in range(60)] == [0] * 60
        over.wait()
        return repelled


def more_than_the_budget(port: int, under_way: Event, over: Event) -> bool:
    """16 messages that have all but their last byte, each as long as it may be."""
    with connected(port, 16, pdu(P_DATA, fragment(COMMAND | LAST, store_command())), associate=True) as peers:
        for peer in peers:
            peer.socket.settimeout(0.5)
            for _ in range(15 * 8):
                try:
                    peer.socket.sendall(pdu(P_DATA, fragment(0, bytes(131000))))
                except OSError:
                    # held back, which is what should happen; what was sent of it cannot be taken back
                    break
            peer.socket.settimeout(60)
        under_way.set()
        over.wait()
        return all_closed(peers)


def never_reading(port: int, under_way: Event, over: Event) -> bool:
    """C-ECHO after C-ECHO, and no answer is ever taken."""
    with RawPeer(port, source=SOURCE, seconds=60) as peer:
        repelled = peer.associate() == ACCEPT
        under_way.set()
        many = echo_request() * 100
        while not over.is_set():
            peer.send(many)
        return repelled


def connect_and_leave(port: int, number: int) -> bool:
    with RawPeer(port, source=SOURCE) as peer:
        if number % 5 == 0:
            return peer.associate(called="WRONG") in (REJECT, None)
    return True


def noise(port: int, number: int) -> bool:
    """Random bytes, HTTP, a TLS hello."""
    chance = random.Random(number)
    said = [
        chance.randbytes(chance.randrange(1, 2000)),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01" + chance.randbytes(512),
        bytes([chance.randrange(1, 8), 0]) + struct.pack(">L", chance.randrange(200)) + chance.randbytes(200),
    ][number % 4]
    with RawPeer(port, source=SOURCE) as peer:
        peer.send(said)
    return True


def permuted(port: int, number: int) -> bool:
    """A legitimate exchange with its parts swapped, doubled, cut or changed."""
    chance = random.Random(number)
    content = data_set("1.2.3.1")
    parts = [
        fragment(COMMAND | LAST, store_command()),
        fragment(0, content[:100]),
        fragment(LAST, content[100:]),
        fragment(COMMAND | LAST, echo_command(), context=3),
    ]
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(parts))
        match chance.randrange(5):
            case 0:
                chance.shuffle(parts)
            case 1:
                parts.append(parts[place])
            case 2 if parts[place]:
                parts[place] = parts[place][: chance.randrange(len(parts[place]))]
            case 3 if parts[place]:
                changed = bytearray(parts[place])
                changed[chance.randrange(min(len(changed), 40))] = 0xFF
                parts[place] = bytes(changed)
            case _:
                parts[place] = fragment(chance.randrange(256), content[:50], context=chance.randrange(256))
    with RawPeer(port, source=SOURCE) as peer:
        if peer.associate() == ACCEPT:
            for part in parts:
                peer.send(pdu(P_DATA, part))
    return True


def hostile_names(port: int, number: int) -> bool:
    """Paths, statements and control characters where names belong."""
    name = ["../../../evil", "/etc/passwd", "1.2.3'; DROP TABLE job;--", "1.2.3\x00.dcm", "$(touch evil)", "9" * 64, "\x1b[2J\n{}"][
        number % 7
    ]
    with RawPeer(port, source=SOURCE) as peer:
        if peer.associate(calling="../../etc/x") != ACCEPT:
            return True
        for part in store_request(data_set("1.2.3.1").replace(b"1.2.3.1\x00", b"../../ev"), name[:64]):
            peer.send(part)
        status = peer.status()
        return status is None or status == 0xA900 or status >> 12 == 0xC


def hostile_headers(port: int, number: int) -> bool:
    """Sequences nested deeper than anybody reads, and sizes that nobody has."""
    contents = [
        data_set("1.2.3.1", depth=200),
        data_set("1.2.3.1", depth=20_000),
        data_set("1.2.3.1", Rows=65535, Columns=65535),
        data_set("1.2.3.1", NumberOfFrames=2**31 - 1),
        data_set("1.2.3.1", SamplesPerPixel=65535, BitsAllocated=65528),
    ]
    with RawPeer(port, source=SOURCE) as peer:
        if peer.associate() != ACCEPT:
            return True
        for part in store_request(contents[number % len(contents)], "1.2.3.1"):
            peer.send(part)
        status = peer.status()
        return status is not None and status >> 12 == 0xC


def data_set(uid: str, *, depth: int = 0, **changes: object) -> bytes:
    """A small DX instance in Explicit VR Little Endian; `depth` levels of sequences in it."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = DX, uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.Modality = "1.2.4", "1.2.5", "DX"
    dataset.Rows = dataset.Columns = 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 16, 12, 11, 0, 1
    dataset.PhotometricInterpretation, dataset.PixelData = "MONOCHROME2", bytes(128)
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    buffer = BytesIO()
    dataset.save_as(buffer, implicit_vr=False, little_endian=True)
    encoded = buffer.getvalue()
    if not depth:
        return encoded
    opened = b"\x08\x00\x15\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    closed = b"\xfe\xff\x0d\xe0\x00\x00\x00\x00\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    place = encoded.index(b"\x20\x00\x0d\x00UI")
    return encoded[:place] + opened * depth + closed * depth + encoded[place:]


ATTACKS: Final = (
    Attack("two bytes, then nothing", "closed at the deadline", stalled(STALLED, 30)),
    Attack("half a PDU in an association", "closed at the deadline", stalled(pdu(P_DATA, b"x" * 50, claims=1000), 10, associate=True)),
    Attack("a byte now and then", "closed at the deadline", slow_lorises),
    Attack("1,000 connections that say nothing", "capped, the rest closed at the deadline", many_connections),
    Attack("PDU of 4 GiB", "closed at once", repeated(announced, 10)),
    Attack("message without an end", "cut at twice the longest message", repeated(endless_message, 5), growth_mb=64),
    Attack("command without an end", "cut", repeated(endless_command, 50)),
    Attack("60 stores of 4 MB without waiting", "held back, all answered", pipelined),
    Attack("more in flight than the memory budget", "held back, then closed; others pass", more_than_the_budget, growth_mb=80),
    Attack("echo requests whose answers are not read", "held back, then cut", never_reading),
    Attack("10,000 connections and 2,000 rejected requests", "nothing stays", repeated(connect_and_leave, 10_000)),
    Attack("random bytes, HTTP, TLS", "closed", repeated(noise, 400)),
    Attack("fragments in every wrong order", "aborted or refused", repeated(permuted, 400)),
    Attack("paths and statements as names", "A900, Cxxx or aborted; no file", repeated(hostile_names, 70)),
    Attack("200 and 20,000 nested sequences, impossible sizes", "Cxxx", repeated(hostile_headers, 50)),
)
