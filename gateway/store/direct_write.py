"""Writing past the page cache: what is fsynced at once gains nothing from it, and its copy is the dearest part of a write.

Direct I/O wants addresses, offsets and lengths in whole blocks. So the bytes go through an aligned buffer, and the last, broken
block is written the usual way. Where a file system refuses direct I/O, everything is.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import threading
from collections.abc import Iterable, Iterator
from typing import Final

_BLOCK: Final = 4096
_CHUNK: Final = 1 << 20


class DirectWriter:
    """For any thread; each that has written holds a buffer of 1 MiB until it ends."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def write(self, descriptor: int, parts: Iterable[bytes | memoryview]) -> int:
        """Writes the parts to a new, empty file and returns how many bytes they have. OSError as from os.write."""
        is_direct = _set_direct(descriptor, on=True)
        total = 0
        for chunk in self._chunks(parts):
            total += len(chunk)
            whole = len(chunk) // _BLOCK * _BLOCK if is_direct else 0
            if whole:
                is_direct = _write_blocks(descriptor, chunk[:whole])
            if whole < len(chunk):
                is_direct = is_direct and not _set_direct(descriptor, on=False)
                _write_all(descriptor, chunk[whole:])
        return total

    def _chunks(self, parts: Iterable[bytes | memoryview]) -> Iterator[memoryview]:
        """The parts in one piece, cut into full buffers and a rest."""
        buffer, filled = self._buffer(), 0
        for part in parts:
            left = memoryview(part).cast("B")
            while left:
                taken = min(len(left), _CHUNK - filled)
                buffer[filled : filled + taken] = left[:taken]
                filled, left = filled + taken, left[taken:]
                if filled == _CHUNK:
                    yield buffer
                    filled = 0
        if filled:
            yield buffer[:filled]

    def _buffer(self) -> memoryview:
        found: memoryview | None = getattr(self._of_thread, "buffer", None)
        if found is None:
            # a mapping begins at a page, as direct I/O wants it
            found = self._of_thread.buffer = memoryview(mmap.mmap(-1, _CHUNK))
        return found


def _write_blocks(descriptor: int, blocks: memoryview) -> bool:
    """False when direct I/O had to be given up on the way."""
    is_direct = True
    while blocks:
        try:
            written = os.write(descriptor, blocks)
        except OSError as error:
            if error.errno != errno.EINVAL or not is_direct:
                raise
            written = 0
        if not written or written % _BLOCK:
            is_direct = False
            _set_direct(descriptor, on=False)
        blocks = blocks[written:]
    return is_direct


def _write_all(descriptor: int, content: memoryview) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _set_direct(descriptor: int, *, on: bool) -> bool:
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_DIRECT if on else flags & ~os.O_DIRECT)
    except OSError:
        return False
    return True
