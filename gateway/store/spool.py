"""Durable files: written, fsynced, renamed, and their directory fsynced, in this order, before anybody relies on them."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.errors import SpoolError, SpoolFileCorruptError, SpoolFileLostError, SpoolNotDurableError

_SHARDS: Final = tuple(f"{number:02x}" for number in range(256))
_KINDS: Final = ("instance", "saliency", "result")
_MARKER: Final = "strnet-gateway-spool"
_SUFFIXES: Final = {"instance": ".dcm", "saliency": ".npy", "result": ".dcm"}


class Spool:
    """Files under one folder: `<kind>/<first two of the id>/<id><suffix>`. Names are ours, never a peer's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prepare(self) -> None:
        """Makes the folders durable. SpoolError when the folder cannot be written."""
        try:
            for kind in _KINDS:
                for shard in _SHARDS:
                    (self._folder / kind / shard).mkdir(parents=True, exist_ok=True, mode=0o700)
                _fsync_folder(self._folder / kind)
            (self._folder / _MARKER).touch(mode=0o600)
            _fsync_folder(self._folder)
        except OSError as error:
            raise SpoolError(error.strerror or "") from error

    def write(self, kind: str, identifier: str, parts: Iterable[bytes | memoryview]) -> str:
        """Writes a file durably and returns its name relative to the spool.

        SpoolError: nothing was kept (disk full, no permission). SpoolNotDurableError: an fsync failed; it must not be tried
        again, because the kernel may have dropped the pages that it could not write.
        """
        name = f"{kind}/{identifier[:2]}/{identifier}{_SUFFIXES[kind]}"
        final = self._folder / name
        partial = final.with_suffix(".part")
        try:
            _write_partial(partial, parts)
            os.rename(partial, final)  # noqa: PTH104  the plain system call: the order of calls is the promise
            _fsync_folder(final.parent)
        except SpoolNotDurableError:
            raise
        except OSError as error:
            for leftover in (partial, final):
                with suppress(OSError):
                    leftover.unlink(missing_ok=True)
            raise SpoolError(error.strerror or "") from error
        return name

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

    def free_bytes(self) -> int:
        return shutil.disk_usage(self._folder).free

    def partial_files(self) -> Iterator[Path]:
        """Leftovers of writes that never ended; nothing was promised for them."""
        return self._folder.glob("*/*/*.part")

    def instance_files(self) -> Iterator[Path]:
        return self._folder.glob("instance/*/*.dcm")


def _write_partial(partial: Path, parts: Iterable[bytes | memoryview]) -> None:
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        expected = 0
        for part in parts:
            view = memoryview(part).cast("B")
            expected += len(view)
            while view:
                view = view[os.write(descriptor, view) :]
        if os.fstat(descriptor).st_size != expected:
            raise OSError(5, "short write")
        _fsync(descriptor)
    finally:
        os.close(descriptor)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _fsync(descriptor)
    finally:
        os.close(descriptor)


def _fsync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise SpoolNotDurableError(error.strerror or "") from error
