"""The head of a DIMSE command set, read before pynetdicom acts on it (PS3.7 6.3.1, E.1)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.errors import PeerLimitError
from gateway.receive.limits import Cut

_ELEMENT: Final = struct.Struct("<HHL")
_US: Final = struct.Struct("<H")
_COMMAND_FIELD: Final = (0x0000, 0x0100)
_DATA_SET_TYPE: Final = (0x0000, 0x0800)
_NO_DATA_SET: Final = 0x0101
_C_STORE_RQ: Final = 0x0001
_C_ECHO_RQ: Final = 0x0030
_N_EVENT_REPORT_RQ: Final = 0x0100
_SERVED: Final = (_C_STORE_RQ, _C_ECHO_RQ)
"""None of the others is served here; what pynetdicom would do about them is not for a peer to choose."""


@dataclass(frozen=True, slots=True)
class CommandHead:
    field: int
    has_data_set: bool


def read_command(command: bytes, *, takes_reports: bool = False) -> CommandHead:
    """PeerLimitError when it is no command set, or none that is served. takes_reports: its context is that of storage commitment."""
    found: dict[tuple[int, int], bytes] = {}
    for tag, value in _elements(command):
        if tag in found:
            # of two pynetdicom would take the last (PS3.5 7.1: a tag is there once)
            raise PeerLimitError(Cut.COMMAND)
        found[tag] = value
    field, data_set_type = _number(found, _COMMAND_FIELD), _number(found, _DATA_SET_TYPE)
    if field not in _SERVED and not (takes_reports and field == _N_EVENT_REPORT_RQ):
        raise PeerLimitError(Cut.COMMAND)
    head = CommandHead(field, data_set_type != _NO_DATA_SET)
    if head.field == _C_ECHO_RQ and head.has_data_set:
        # PS3.7 9.3.5.1: it has none, so its service would never give the memory back
        raise PeerLimitError(Cut.COMMAND)
    return head


def _number(found: dict[tuple[int, int], bytes], tag: tuple[int, int]) -> int:
    value = found.get(tag, b"")
    if len(value) != _US.size:
        raise PeerLimitError(Cut.COMMAND)
    return int(_US.unpack(value)[0])


def _elements(command: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    """Implicit VR, little endian."""
    position = 0
    while position < len(command):
        if position + _ELEMENT.size > len(command):
            raise PeerLimitError(Cut.COMMAND)
        group, element, length = _ELEMENT.unpack_from(command, position)
        position += _ELEMENT.size
        if position + length > len(command):
            raise PeerLimitError(Cut.COMMAND)
        yield (group, element), command[position : position + length]
        position += length
