"""A file that is whole or absent after a crash."""

from __future__ import annotations

import os
from pathlib import Path

PART = ".part"
"""Suffix of a file that is being written; one that is left belongs to a write that was cut."""


def write_durably(path: Path, content: bytes) -> None:
    """Write beside, fsync, rename, fsync the folder: after a crash the file is whole or absent, or still the former one."""
    part = path.with_name(path.name + PART)
    with part.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
