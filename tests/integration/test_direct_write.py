"""Every length comes out as it went in, with direct I/O and without."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from gateway.store.direct_write import DirectWriter

MIB = 1 << 20


def written(folder: Path, parts: list[bytes]) -> bytes:
    path = folder / "file"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        assert DirectWriter().write(descriptor, parts) == sum(map(len, parts))
    finally:
        os.close(descriptor)
    return path.read_bytes()


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, MIB - 352, MIB - 351, MIB, MIB + 1, 2 * MIB + 4096 - 352, 3 * MIB + 5])
def test_file_holds_all_parts_in_order(tmp_path: Path, size: int) -> None:
    parts = [os.urandom(352), os.urandom(size)]
    assert written(tmp_path, parts) == b"".join(parts)


def test_file_system_without_direct_io_gets_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fcntl.fcntl

    def refuse(descriptor: int, command: int, argument: int = 0) -> Any:
        if command == fcntl.F_SETFL and argument & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(descriptor, command, argument)

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    parts = [os.urandom(352), os.urandom(2 * MIB + 17)]
    assert written(tmp_path, parts) == b"".join(parts)


def test_write_that_refuses_direct_io_and_writes_that_stop_early_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    calls: list[int] = []

    def write(descriptor: int, content: memoryview) -> int:
        calls.append(len(content))
        if len(calls) == 1:
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(descriptor, content[: max(1, len(content) // 2)] if len(calls) % 2 else content)

    monkeypatch.setattr(os, "write", write)
    parts = [os.urandom(352), os.urandom(3 * MIB + 9)]
    assert written(tmp_path, parts) == b"".join(parts)
    assert len(calls) > 4


def test_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(_descriptor: int, _content: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="No space left"):
        written(tmp_path, [os.urandom(MIB)])


def test_reused_buffer_leaves_nothing_of_the_file_before(tmp_path: Path) -> None:
    writer = DirectWriter()
    for number, size in enumerate((MIB, 100, 5000)):
        descriptor = os.open(tmp_path / str(number), os.O_WRONLY | os.O_CREAT, 0o600)
        content = bytes([number + 1]) * size
        writer.write(descriptor, [content])
        os.close(descriptor)
        assert (tmp_path / str(number)).read_bytes() == content
