from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import PeerLimitError
from gateway.receive.command_set import CommandHead, read_command
from tests.peers.raw_peer import echo_command, store_command


def us(element: int, value: int) -> bytes:
    return struct.pack("<HHLH", 0, element, 2, value)


def test_store_request_has_a_data_set_and_echo_request_has_none() -> None:
    assert read_command(store_command()) == CommandHead(field=0x0001, has_data_set=True)
    assert read_command(echo_command()) == CommandHead(field=0x0030, has_data_set=False)


@pytest.mark.parametrize("field", [0x8001, 0x8030, 0x0020, 0x0021, 0x0010, 0x0100, 0x0110, 0x0120, 0x0130, 0x0140, 0x0150, 0x0FFF, 0x4242])
def test_command_that_is_not_served_is_refused(field: int) -> None:
    with pytest.raises(PeerLimitError):
        read_command(us(0x0100, field) + us(0x0800, 0x0101))


def test_report_is_served_in_the_context_of_storage_commitment_alone() -> None:
    report = us(0x0100, 0x0100) + us(0x0800, 1)
    assert read_command(report, takes_reports=True) == CommandHead(field=0x0100, has_data_set=True)
    with pytest.raises(PeerLimitError):
        read_command(report)


def test_echo_request_with_a_data_set_is_refused() -> None:
    with pytest.raises(PeerLimitError):
        read_command(us(0x0100, 0x0030) + us(0x0800, 1))


@pytest.mark.parametrize("repeated", [us(0x0800, 0x0001), struct.pack("<HHL", 0, 0x0800, 0), us(0x0100, 1)])
def test_command_that_says_a_thing_twice_is_refused(repeated: bytes) -> None:
    with pytest.raises(PeerLimitError):
        read_command(us(0x0100, 0x0030) + us(0x0800, 0x0101) + repeated)


@pytest.mark.parametrize("element", [0x0100, 0x0800])
@pytest.mark.parametrize("value", [b"", b"\x01", bytes(4)])
def test_number_of_another_length_is_refused(element: int, value: bytes) -> None:
    numbers = {0x0100: us(0x0100, 1), 0x0800: us(0x0800, 1)} | {element: struct.pack("<HHL", 0, element, len(value)) + value}
    with pytest.raises(PeerLimitError):
        read_command(b"".join(numbers.values()))


@pytest.mark.parametrize(
    "command",
    [
        b"",
        us(0x0100, 1),
        us(0x0800, 0x0101),
        us(0x0100, 1)[:-1],
        us(0x0100, 1) + b"\x00",
        us(0x0100, 1) + struct.pack("<HHL", 0, 2, 0xFFFFFFFF),
    ],
)
def test_incomplete_command_is_refused(command: bytes) -> None:
    with pytest.raises(PeerLimitError):
        read_command(command)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(command: bytes) -> None:
    try:
        read_command(command)
    except PeerLimitError:
        return
