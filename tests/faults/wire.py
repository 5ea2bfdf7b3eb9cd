"""PDUs by hand (PS3.8 9.3), for peers that do not keep to them."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.faults.images import Image

_APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
_IMPLEMENTATION = b"1.2.826.0.1.3680043.10.511.77.1"
LAST, COMMAND = 0x02, 0x01
"""Bits of a fragment's message control header (PS3.8 E.2)."""


@contextmanager
def connected(port: int, *, source: str = "127.0.0.1", host: str = "127.0.0.1", seconds: float = 10) -> Iterator[socket.socket]:
    with socket.create_connection((host, port), timeout=seconds, source_address=(source, 0)) as connection:
        yield connection


def associate_request(image: Image, *, calling: str = "XRAY1") -> bytes:
    """A-ASSOCIATE-RQ with one presentation context, number 1."""
    context = _item(0x20, struct.pack(">BBBB", 1, 0, 0, 0) + _item(0x30, image.sop_class.encode()) + _item(0x40, image.syntax.encode()))
    user = _item(0x50, _item(0x51, struct.pack(">L", 131072)) + _item(0x52, _IMPLEMENTATION))
    body = struct.pack(">HH16s16s32x", 1, 0, b"STRNET".ljust(16), calling.encode().ljust(16))
    return _pdu(0x01, body + _item(0x10, _APPLICATION_CONTEXT) + context + user)


def associated(connection: socket.socket, image: Image) -> bool:
    connection.sendall(associate_request(image))
    head = connection.recv(6, socket.MSG_WAITALL)
    if len(head) < 6:
        return False
    connection.recv(struct.unpack(">L", head[2:])[0], socket.MSG_WAITALL)
    return head[0] == 0x02


def fragment(content: bytes, control: int, *, context: int = 1) -> bytes:
    """P-DATA-TF with one presentation data value."""
    return _pdu(0x04, struct.pack(">LBB", len(content) + 2, context, control) + content)


def store_command(image: Image, message_id: int = 1) -> bytes:
    """C-STORE-RQ (PS3.7 9.3.1.1) as a P-DATA-TF; the data set is announced."""
    elements = b"".join(
        struct.pack("<HHL", 0, element, len(value)) + value
        for element, value in (
            (0x0002, _even(image.sop_class)),
            (0x0100, struct.pack("<H", 1)),
            (0x0110, struct.pack("<H", message_id)),
            (0x0700, struct.pack("<H", 0)),
            (0x0800, struct.pack("<H", 1)),
            (0x1000, _even(image.uid)),
        )
    )
    return fragment(struct.pack("<HHLL", 0, 0, 4, len(elements)) + elements, COMMAND | LAST)


def store_message(image: Image, message_id: int = 1, *, size: int = 65536) -> bytes:
    """A whole C-STORE request."""
    parts = [image.content[start : start + size] for start in range(0, len(image.content), size)]
    return store_command(image, message_id) + b"".join(
        fragment(part, LAST if number == len(parts) else 0) for number, part in enumerate(parts, 1)
    )


def closed_by_peer(connection: socket.socket, seconds: float) -> bool:
    """True when the other side ends the connection within the time, whatever it says before."""
    connection.settimeout(seconds)
    with suppress(ConnectionError):
        try:
            while connection.recv(65536):
                pass
        except TimeoutError:
            return False
    return True


def push(connection: socket.socket, content: bytes) -> bool:
    """False when the other side takes no more."""
    try:
        connection.sendall(content)
    except OSError:
        return False
    return True


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(content)) + content


def _pdu(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBL", kind, 0, len(content)) + content


def _even(uid: str) -> bytes:
    return uid.encode() + b"\x00" * (len(uid) % 2)
