"""Our own identifiers."""

from __future__ import annotations

import os
import socket
import uuid


def new_id() -> str:
    """A fresh random identifier, 32 hexadecimal characters: names of files and rows are ours, never a peer's."""
    return uuid.uuid4().hex


def owner_name(role: str, pid: int | None = None) -> str:
    """Who holds a lease: host, role and process."""
    return f"{socket.gethostname()}:{role}:{pid or os.getpid()}"
