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
_SERVED: Final = (_C_STORE_RQ, _C_ECHO_RQ)
"""For some of the others pynetdicom would start a thread, and we serve none of them."""


@dataclass(frozen=True, slots=True)
class CommandHead:
    field: int
    has_data_set: bool


def read_command(command: bytes) -> CommandHead:
    """PeerLimitError when it is no command set, or none that is served."""
    found = {
        tag: _US.unpack(value)[0] for tag, value in _elements(command) if tag in (_COMMAND_FIELD, _DATA_SET_TYPE) and len(value) == _US.size
    }
    if _COMMAND_FIELD not in found or _DATA_SET_TYPE not in found or found[_COMMAND_FIELD] not in _SERVED:
        raise PeerLimitError(Cut.COMMAND)
    head = CommandHead(found[_COMMAND_FIELD], found[_DATA_SET_TYPE] != _NO_DATA_SET)
    if head.field == _C_ECHO_RQ and head.has_data_set:
        # PS3.7 9.3.5.1: it has none, so its service would never give the memory back
        raise PeerLimitError(Cut.COMMAND)
    return head


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
