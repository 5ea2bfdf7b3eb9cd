"""One file beside the spool for each process that takes instances in (docs/adr/0021).

Its lock says that the process lives: then the associations that name it are open, else nobody will ever end them. What the process
has answered while the database took nothing stands in it, a line each, until it is in the database.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, TypeAdapter, ValidationError

from gateway.domain.answered import Note
from gateway.domain.identifiers import new_id
from gateway.errors import SpoolError
from gateway.store.locked_files import hold_locked, lock_abandoned

_SUFFIX: Final = ".jsonl"
_BYTES: Final = 1 << 20
"""About 3,000 answers. Taken from the disk at the start, so that there is room when the disk is full."""
_CLOSED: Final = -1
"""No descriptor: what a thread still wants to note is refused, and goes into no other file."""
_NOTES: Final[TypeAdapter[Note]] = TypeAdapter(Annotated[Note, Field(discriminator="kind")])


class ProcessFile:
    """This process's own file. Taken by any thread."""

    def __init__(self, folder: Path) -> None:
        """SpoolError when the file cannot be made."""
        self.owner = new_id()
        """Stands in the rows of the associations that this process has opened."""
        self.news = threading.Event()
        """Set while there is something that the database has not got."""
        self._path = folder / f"{self.owner}{_SUFFIX}"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._descriptor = _make(self._path)
        except OSError as error:
            raise SpoolError(error.strerror or "") from error
        self._lock = threading.Lock()
        self._end = 0
        self._lines: set[bytes] = set()
        self._has_name = False

    def add(self, notes: Iterable[Note], *, durable: bool = True) -> bool:
        """Notes all of them, or as many as there is room for: then False. What stands here already is not noted again.

        durable: fsynced, so that a power cut leaves it. Not after a failed fsync: then the process writes on for its end only.
        """
        with self._lock:
            try:
                return self._add(notes, durable=durable)
            except (OSError, ValueError):
                # no room, or a text that is none: a failure was answered, and the log tells of it; this is no reason for another one
                return False

    def _add(self, notes: Iterable[Note], *, durable: bool) -> bool:
        if self._descriptor == _CLOSED:
            return False
        with self._path.open("r+b", buffering=0) as file:
            is_whole = self._write(file.fileno(), notes)
            if durable:
                os.fdatasync(file.fileno())
                self._make_name_durable()
        return is_whole

    def _write(self, descriptor: int, notes: Iterable[Note]) -> bool:
        for note in notes:
            line = _NOTES.dump_json(note) + b"\n"
            if line in self._lines:
                continue
            if self._end + len(line) > _BYTES:
                return False
            os.pwrite(descriptor, line, self._end)
            self._end += len(line)
            self._lines.add(line)
            self.news.set()
        return True

    def _make_name_durable(self) -> None:
        if self._has_name:
            return
        descriptor = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._has_name = True

    def notes(self) -> tuple[Note, ...]:
        with self._lock:
            return _read(self._descriptor).notes

    def forget(self, notes: tuple[Note, ...]) -> None:
        """These are in the database. Nothing is forgotten when others have come meanwhile: the next time it is all of them."""
        with self._lock:
            if len(notes) != len(self._lines):
                return
            try:
                with self._path.open("r+b", buffering=0) as file:
                    os.ftruncate(file.fileno(), 0)
                    _set_aside(file.fileno())
            except OSError:
                # a read-only spool: they are taken up again, to no effect, until it can be written
                return
            self._end = 0
            self._lines.clear()
            self.news.clear()

    def close(self) -> None:
        """At the end of the process. A file that still holds something is left to the next sweep."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, _CLOSED
            if descriptor == _CLOSED:
                return
            if not self._lines:
                self._path.unlink(missing_ok=True)
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Left:
    """What a process has left. unreadable: lines that are none of ours, or were cut off by its death."""

    notes: tuple[Note, ...]
    unreadable: int


class ProcessFiles:
    """Those of all processes over a spool, on this host and on others."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def is_living(self, owner: str) -> bool:
        path = self._path(owner)
        if not path.exists():
            return False
        descriptor = lock_abandoned(path)
        if descriptor is None:
            return True
        os.close(descriptor)
        return False

    def abandoned(self) -> Iterator[Left]:
        """What each dead process has left. Its file is removed once the next one is asked for: nothing is lost by an error before."""
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            descriptor = lock_abandoned(path)
            if descriptor is None:
                continue
            try:
                yield _read(descriptor)
                with suppress(FileNotFoundError):
                    path.unlink()
            finally:
                os.close(descriptor)

    def _path(self, owner: str) -> Path:
        return self._folder / f"{owner}{_SUFFIX}"


def _make(path: Path) -> int:
    """A new file with its room, held by a lock."""
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            _set_aside(descriptor)
            held = hold_locked(path)
        finally:
            os.close(descriptor)
        if held is not None:
            return held


def _set_aside(descriptor: int) -> None:
    # a file system that cannot do it, or is full already
    with suppress(OSError):
        os.posix_fallocate(descriptor, 0, _BYTES)


def _read(descriptor: int) -> Left:
    notes: list[Note] = []
    unreadable = 0
    written, _, _ = os.pread(descriptor, _BYTES, 0).partition(b"\0")
    for line in written.splitlines():
        try:
            notes.append(_NOTES.validate_json(line))
        except ValidationError:
            unreadable += 1
    return Left(tuple(notes), unreadable)
