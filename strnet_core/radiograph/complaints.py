"""What a C library prints on the process's standard error: libjpeg inside GDCM says there, and only there, that a stream is corrupt."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STANDARD_ERROR = 2
_LOCK = threading.Lock()


@contextmanager
def captured_complaints(lines: list[bytes], ours: tuple[bytes, ...]) -> Iterator[None]:
    """Collects in `lines` what the block prints, as far as it holds one of the texts `ours`; the rest is passed on afterwards.

    The descriptor belongs to the whole process: one block at a time. Without a standard error nothing is collected.
    """
    with _LOCK, tempfile.TemporaryFile() as taken:
        try:
            saved = os.dup(_STANDARD_ERROR)
        except OSError:
            yield
            return
        os.dup2(taken.fileno(), _STANDARD_ERROR)
        try:
            yield
        finally:
            os.dup2(saved, _STANDARD_ERROR)
            taken.seek(0)
            for line in taken.read().splitlines(keepends=True):
                if any(text in line for text in ours):
                    lines.append(line)
                else:
                    os.write(saved, line)
            os.close(saved)
