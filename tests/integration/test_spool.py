from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.errors import SpoolError, SpoolFileCorruptError, SpoolFileLostError, SpoolNotDurableError
from gateway.store.joining import Turn
from gateway.store.spool import Spool
from gateway.store.steps import Step

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


def test_steps_of_a_write_are_told_in_order(tmp_path: Path) -> None:
    steps: list[tuple[Step, list[str]]] = []
    folder = tmp_path / "spool"

    def on_step(step: Step) -> None:
        steps.append((step, [path.suffix for path in (folder / "instance").rglob("*.*")]))

    spool = Spool(folder, on_step=on_step)
    spool.prepare()
    spool.write("instance", ID, (b"ab",))
    assert steps == [
        (Step.AFTER_BYTES, [".part"]),
        (Step.AFTER_FSYNC, [".part"]),
        (Step.AFTER_RENAME, [".dcm"]),
        (Step.AFTER_FOLDER_FSYNC, [".dcm"]),
    ]


def test_after_a_failed_fsync_nothing_more_is_written(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(SpoolNotDurableError):
        spool.write("instance", ID, (b"ab",))
    monkeypatch.undo()
    assert spool.broken
    with pytest.raises(SpoolNotDurableError):
        spool.write("instance", "cd" * 16, (b"ab",))
    assert not spool.path("instance/cd/" + "cd" * 16 + ".part").exists()


def test_ids_taken_one_after_another_share_a_folder_and_are_all_different(spool: Spool) -> None:
    ids = [spool.new_id() for _ in range(64 * 20)]
    assert len(set(ids)) == len(ids)
    assert {len(identifier) for identifier in ids} == {32}
    assert all(len({identifier[:2] for identifier in ids[start : start + 64]}) == 1 for start in range(0, len(ids), 64))


class HeldFolderFsync:
    """The first fsync of a folder waits until so many writers have joined the next one, and then fails if it is to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, fails: bool = False) -> None:
        self.folders: list[int] = []
        self._begun, self._go_on, self._joined = threading.Event(), threading.Event(), threading.Semaphore(0)
        self._fails = fails
        real_fsync, real_wait = os.fsync, Turn.wait

        def fsync(descriptor: int) -> None:
            if Path(f"/proc/self/fd/{descriptor}").is_dir():
                self.folders.append(descriptor)
                self._hold()
            real_fsync(descriptor)

        def wait(turn: Turn[Path]) -> None:
            self._joined.release()
            real_wait(turn)

        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(Turn, "wait", wait)

    def _hold(self) -> None:
        if len(self.folders) == 1:
            self._begun.set()
            assert self._go_on.wait(20)
            if self._fails:
                raise OSError(errno.EIO, "Input/output error")

    def write(self, spool: Spool, count: int) -> list[Future[str]]:
        """One write that holds the folder, and the others behind it; all have ended."""
        ids = [spool.new_id() for _ in range(count)]
        with ThreadPoolExecutor(count) as pool:
            writes = [pool.submit(spool.write, "instance", ids[0], (b"x",))]
            assert self._begun.wait(20)
            writes += [pool.submit(spool.write, "instance", identifier, (b"x",)) for identifier in ids[1:]]
            assert all(self._joined.acquire(timeout=20) for _ in ids[1:])
            self._go_on.set()
        return writes


def test_folder_fsyncs_of_several_writers_are_joined(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    held = HeldFolderFsync(monkeypatch)
    names = held.write(spool, 9)
    assert all(spool.path(name.result()).read_bytes() == b"x" for name in names)
    assert len(held.folders) == 2


def test_who_waits_for_a_folder_fsync_that_fails_is_failed_without_a_second_one(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    held = HeldFolderFsync(monkeypatch, fails=True)
    writes = held.write(spool, 4)
    assert [type(write.exception()) for write in writes] == [SpoolNotDurableError] * 4
    assert len(held.folders) == 1
    assert spool.broken


def test_write_whose_own_fsyncs_went_well_is_failed_when_another_one_failed_meanwhile(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failed = os.fsync, []

    def fsync(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_dir() and not failed:
            # another folder's, in the midst of this one
            failed.append(descriptor)
            monkeypatch.setattr(os, "fsync", fail)
            with pytest.raises(SpoolNotDurableError):
                spool.write("instance", "cd" * 16, (b"ab",))
            monkeypatch.setattr(os, "fsync", fsync)
        real(descriptor)

    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(SpoolNotDurableError):
        spool.write("instance", ID, (b"ab",))


def test_sweep_of_another_process_never_removes_a_living_writers_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Spool(tmp_path / "spool")
    swept: list[int] = []
    real = os.rename

    def rename(source: Path, target: Path) -> None:
        swept.append(other.remove_abandoned())
        real(source, target)

    spool = Spool(tmp_path / "spool", on_step=lambda _step: swept.append(other.remove_abandoned()))
    spool.prepare()
    monkeypatch.setattr(os, "rename", rename)
    name = spool.write("instance", ID, (b"ab",))
    assert spool.path(name).read_bytes() == b"ab"
    assert swept == [0] * 5


def test_sweep_does_not_count_a_file_that_was_renamed_before_its_turn(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    partial = spool.path(f"instance/ab/{ID}.part")
    partial.touch()
    real = fcntl.flock

    def flock(descriptor: int, how: int) -> None:
        partial.rename(partial.with_suffix(".dcm"))
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    assert spool.remove_abandoned() == 0
    assert partial.with_suffix(".dcm").exists()
