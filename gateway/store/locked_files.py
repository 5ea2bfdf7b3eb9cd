"""Files that are locked while their writer lives: whoever gets the lock knows that it is gone, also beside other processes and hosts."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def create_locked(path: Path) -> int:
    """The descriptor of a new file, locked until it is closed. FileExistsError when the file is there."""
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor
        # swept away between the two calls
        os.close(descriptor)


def hold_locked(path: Path) -> int | None:
    """A descriptor that only reads, whose shared lock says that we live until it is closed; None when the file has been swept away.

    A file that is open for writing would keep its file system from being remounted read-only.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    if os.fstat(descriptor).st_nlink:
        return descriptor
    os.close(descriptor)
    return None


def lock_abandoned(path: Path) -> int | None:
    """The descriptor of a file whose writer is gone, locked by us now. None when the writer lives, or the file cannot be opened."""
    try:
        # for writing: network file systems give an exclusive lock to no other
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def remove_abandoned_file(path: Path) -> bool:
    """True when the file is removed; False when its writer lives or it cannot be removed."""
    descriptor = lock_abandoned(path)
    if descriptor is None:
        return False
    try:
        path.unlink()
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
