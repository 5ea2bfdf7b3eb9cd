"""Durable files: written, fsynced, renamed, and their directory fsynced, in this order, before anybody relies on them."""

from __future__ import annotations

import fcntl
import hashlib
import os
import random
import shutil
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Final

from gateway.domain.identifiers import new_id
from gateway.errors import SpoolError, SpoolFileCorruptError, SpoolFileLostError, SpoolNotDurableError
from gateway.store.direct_write import DirectWriter
from gateway.store.joining import Joined, Turn
from gateway.store.steps import OnStep, Step, nothing

SHARDS: Final = tuple(f"{number:02x}" for number in range(256))
_KINDS: Final = ("instance", "saliency", "result", "self_test")
_MARKER: Final = "strnet-gateway-spool"
_SUFFIXES: Final = {"instance": ".dcm", "saliency": ".npy", "result": ".dcm", "self_test": ".tmp"}
_INODES_RESERVED: Final = 100
_IDS_PER_SHARD: Final = 64
"""So many new ids in a row share a folder: writes that overlap in time then share its fsync."""


class Obstacle(StrEnum):
    """Why the spool takes nothing in."""

    UNREACHABLE = "unreachable"
    NOT_WRITABLE = "not_writable"
    NO_SPACE = "no_space"
    NO_INODES = "no_inodes"


class Spool:
    """Files under one folder: `<kind>/<first two of the id>/<id><suffix>`. Names are ours, never a peer's."""

    def __init__(self, folder: Path, *, on_step: OnStep = nothing) -> None:
        """on_step: called by the writing thread at each step of a write; for tests that stop the world there."""
        self._folder = folder
        self._on_step = on_step
        self._writer = DirectWriter()
        self._folders: dict[Path, Joined[Path]] = {}
        self._lock = threading.Lock()
        self._shard, self._ids_left = "", 0
        self.broken = False
        """True once an fsync has failed: from then on this process writes nothing more."""

    def prepare(self) -> None:
        """Makes the folders durable. SpoolError when the folder cannot be written."""
        try:
            for kind in _KINDS:
                for shard in SHARDS:
                    (self._folder / kind / shard).mkdir(parents=True, exist_ok=True, mode=0o700)
                self._fsync_folder(self._folder / kind)
            (self._folder / _MARKER).touch(mode=0o600)
            self._fsync_folder(self._folder)
        except OSError as error:
            raise SpoolError(error.strerror or "") from error

    def new_id(self) -> str:
        """A fresh identifier for a file; ids that are taken at about the same time lie in the same folder."""
        with self._lock:
            if self._ids_left == 0:
                self._shard, self._ids_left = random.choice(SHARDS), _IDS_PER_SHARD  # noqa: S311  spreads files, guards nothing
            self._ids_left -= 1
            return self._shard + new_id()[2:]

    def write(self, kind: str, identifier: str, parts: Iterable[bytes | memoryview]) -> str:
        """Writes a file durably and returns its name relative to the spool.

        SpoolError: nothing was kept (disk full, no permission). SpoolNotDurableError: an fsync failed, now or earlier; none is
        tried again, because the kernel may have dropped the pages that it could not write.
        """
        self._check()
        name = f"{kind}/{identifier[:2]}/{identifier}{_SUFFIXES[kind]}"
        final = self._folder / name
        partial = final.with_suffix(".part")
        try:
            self._write_and_rename(partial, final, parts)
            self._on_step(Step.AFTER_RENAME)
            self._join_fsync(final.parent)
            self._on_step(Step.AFTER_FOLDER_FSYNC)
        except OSError as error:
            for leftover in (partial, final):
                with suppress(OSError):
                    leftover.unlink(missing_ok=True)
            raise SpoolError(error.strerror or "") from error
        return name

    def _write_and_rename(self, partial: Path, final: Path, parts: Iterable[bytes | memoryview]) -> None:
        descriptor = _create_locked(partial)
        try:
            expected = self._writer.write(descriptor, parts)
            if os.fstat(descriptor).st_size != expected:
                raise OSError(5, "short write")
            self._on_step(Step.AFTER_BYTES)
            self._fsync(descriptor)
            self._on_step(Step.AFTER_FSYNC)
            # before the descriptor is closed, which ends the lock: a sweep would take the file for abandoned
            os.rename(partial, final)  # noqa: PTH104  the plain system call: the order of calls is the promise
        finally:
            os.close(descriptor)

    def _join_fsync(self, folder: Path) -> None:
        """One fsync for all that have renamed into the folder by the time it starts."""
        with self._lock:
            joined = self._folders.setdefault(folder, Joined(self._fsync_folder_for))
        joined.do(folder)
        # another one may have failed meanwhile
        self._check()

    def _fsync_folder_for(self, turns: Sequence[Turn[Path]]) -> None:
        self._fsync_folder(turns[0].work)
        for turn in turns:
            turn.succeed(None)

    def _fsync_folder(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._fsync(descriptor)
        finally:
            os.close(descriptor)

    def _fsync(self, descriptor: int) -> None:
        """The kernel tells a failure once: an fsync after it would succeed without the pages that were dropped."""
        self._check()
        try:
            os.fsync(descriptor)
        except OSError as error:
            self.broken = True
            raise SpoolNotDurableError(error.strerror or "") from error

    def _check(self) -> None:
        if self.broken:
            raise SpoolNotDurableError("an earlier fsync failed")

    def make_durable(self, name: str) -> None:
        """A file that another process left here, and its name. SpoolNotDurableError when that fails."""
        path = self.path(name)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise SpoolNotDurableError(error.strerror or "") from error
        finally:
            os.close(descriptor)

    def is_marked(self) -> bool:
        """True for a folder that was prepared as a spool before, on this very mount."""
        return (self._folder / _MARKER).exists()

    def path(self, name: str) -> Path:
        return self._folder / name

    def holds(self, name: str, at_least: int) -> bool:
        """True when the file is there with at least so many bytes."""
        try:
            return self.path(name).stat().st_size >= at_least
        except OSError:
            return False

    def read_verified(self, name: str, sha256: str) -> bytes:
        """A file's bytes. SpoolFileLostError when it is gone, SpoolFileCorruptError when its digest differs."""
        try:
            content = self.path(name).read_bytes()
        except FileNotFoundError as error:
            raise SpoolFileLostError(name) from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise SpoolFileCorruptError(name)
        return content

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self.path(name).unlink()

    def remove_older(self, kind: str, before: float) -> None:
        """Removes whole files of a kind that were written before this time (seconds since the epoch): a killed process left them."""
        for shard in SHARDS:
            for name in self.names(kind, shard):
                with suppress(FileNotFoundError):
                    if self.path(name).stat().st_mtime < before:
                        self.path(name).unlink()

    def obstacle(self, reserve: int) -> Obstacle | None:
        """What stands against taking more in; None when more than `reserve` bytes are free and the folder can be written."""
        instances = self._folder / "instance"
        try:
            found = os.statvfs(instances)
        except OSError:
            return Obstacle.UNREACHABLE
        if found.f_flag & os.ST_RDONLY or not os.access(instances, os.W_OK | os.X_OK):
            return Obstacle.NOT_WRITABLE
        if found.f_bavail * found.f_frsize <= reserve:
            return Obstacle.NO_SPACE
        # file systems without a fixed number of inodes say 0 of 0
        if found.f_files and found.f_favail < _INODES_RESERVED:
            return Obstacle.NO_INODES
        return None

    def free_bytes(self) -> int:
        return shutil.disk_usage(self._folder).free

    def names(self, kind: str, shard: str) -> set[str]:
        """Names, relative to the spool, of the whole files of one folder."""
        suffix = _SUFFIXES[kind]
        return {f"{kind}/{shard}/{name}" for name in os.listdir(self._folder / kind / shard) if name.endswith(suffix)}  # noqa: PTH208

    def remove_abandoned(self) -> int:
        """Removes partial files that no living process is writing, and says how many; nothing was promised for them."""
        return sum(_remove_if_abandoned(path) for path in self.partial_files())

    def partial_files(self) -> Iterator[Path]:
        for kind in _KINDS:
            for shard in SHARDS:
                with os.scandir(self._folder / kind / shard) as entries:
                    yield from [Path(entry.path) for entry in entries if entry.name.endswith(".part")]


def _create_locked(partial: Path) -> int:
    """A new file, locked while its writer lives: the sweep of another process removes only what it can lock."""
    while True:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor
        # swept away between the two calls
        os.close(descriptor)


def _remove_if_abandoned(partial: Path) -> bool:
    try:
        descriptor = os.open(partial, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        partial.unlink()
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
