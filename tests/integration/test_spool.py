from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from gateway.errors import SpoolError, SpoolFileCorruptError, SpoolFileLostError, SpoolNotDurableError
from gateway.store.spool import Spool

ID = "ab" * 16


def test_file_is_synced_before_it_is_renamed_and_its_folder_after(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(descriptor: int) -> None:
        calls.append("fsync folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "fsync file")
        real_fsync(descriptor)

    def rename(source: Path, target: Path) -> None:
        calls.append("rename")
        real_rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    name = spool.write("instance", ID, (b"ab", memoryview(b"cd")))
    assert calls == ["fsync file", "rename", "fsync folder"]
    assert spool.path(name).read_bytes() == b"abcd"
    assert spool.path(name).stat().st_mode & 0o777 == 0o600


def test_full_disk_leaves_no_partial_file(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(_descriptor: int, _content: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(SpoolError, match="No space left"):
        spool.write("instance", ID, (b"ab",))
    assert list(spool.partial_files()) == []


def test_failed_fsync_is_not_tried_again(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(SpoolNotDurableError):
        spool.write("instance", ID, (b"ab",))
    assert len(calls) == 1


def test_existing_partial_file_is_never_written_into(spool: Spool, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    (tmp_path / "spool/instance/ab" / f"{ID}.part").symlink_to(victim)
    with pytest.raises(SpoolError):
        spool.write("instance", ID, (b"ab",))
    assert victim.read_bytes() == b"untouched"


def test_changed_or_missing_file_is_told(spool: Spool) -> None:
    name = spool.write("result", ID, (b"ab",))
    digest = hashlib.sha256(b"ab").hexdigest()
    assert spool.read_verified(name, digest) == b"ab"
    spool.path(name).write_bytes(b"ac")
    with pytest.raises(SpoolFileCorruptError):
        spool.read_verified(name, digest)
    spool.remove(name)
    with pytest.raises(SpoolFileLostError):
        spool.read_verified(name, digest)


def test_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError):
        Spool(tmp_path / "file" / "spool").prepare()
