"""Durable files: written, fsynced, renamed, and their directory fsynced, in this order, before anybody relies on them."""

from __future__ import annotations

import fcntl
import hashlib
import os
import random
import shutil
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Final

from gateway.domain.identifiers import new_id
from gateway.errors import SpoolError, SpoolFileCorruptError, SpoolFileLostError, SpoolNotDurableError
from gateway.store.direct_write import DirectWriter
from gateway.store.joining import Joined, Turn
from gateway.store.locked_files import create_locked, remove_abandoned_file
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

    @property
    def processes(self) -> Path:
        """Where the files of the processes over this spool are (store.process_file)."""
        return self._folder / "process"

    def prepare(self) -> None:
        """Makes the folders durable. SpoolError when the folder cannot be written."""
        try:
            for kind in _KINDS:
                for shard in SHARDS:
                    (self._folder / kind / shard).mkdir(parents=True, exist_ok=True, mode=0o700)
                self._fsync_folder(self._folder / kind)
            self.processes.mkdir(exist_ok=True, mode=0o700)
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
        descriptor = create_locked(partial)
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
            self._fsync(descriptor)
        finally:
            os.close(descriptor)
        self._fsync_folder(path.parent)

    def identity(self) -> str | None:
        """What the marker says; empty in one that nobody has named yet, None where there is no marker or it cannot be read."""
        try:
            return (self._folder / _MARKER).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None

    def name(self) -> str:
        """Gives a prepared folder an identity, durably, and returns it; of several hosts that do so at once the first one's stands."""
        path, marker = self._folder / f"{_MARKER}.{new_id()}", self._folder / _MARKER
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            try:
                os.write(descriptor, new_id().encode())
                self._fsync(descriptor)
            finally:
                os.close(descriptor)
            with _locked(self._folder):
                if not self.identity():
                    path.replace(marker)
                    self._fsync_folder(self._folder)
            path.unlink(missing_ok=True)
        except OSError as error:
            raise SpoolError(error.strerror or "") from error
        return self.identity() or ""

    def path(self, name: str) -> Path:
        return self._folder / name

    def holds(self, name: str, at_least: int) -> bool:
        """True when the file is there with at least so many bytes."""
        try:
            return self.path(name).stat().st_size >= at_least
        except OSError:
            return False

    def written_at(self, name: str) -> float | None:
        """When the file was last written, in seconds since the epoch; None when it is gone."""
        try:
            return self.path(name).stat().st_mtime
        except OSError:
            return None

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
        return sum(remove_abandoned_file(path) for path in self.partial_files())

    def partial_files(self) -> Iterator[Path]:
        for kind in _KINDS:
            for shard in SHARDS:
                with os.scandir(self._folder / kind / shard) as entries:
                    yield from [Path(entry.path) for entry in entries if entry.name.endswith(".part")]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
