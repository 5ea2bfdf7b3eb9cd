"""What a fault needs of the machine. Without it the fault is reported as not run, and counts as not as expected."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.peers.postgresql import find_binaries

FAKETIME: Final = next(iter(sorted(map(str, Path("/usr/lib").glob("*/faketime/libfaketime.so.1")))), "")
"""Debian's libfaketime; empty where it is not installed."""

_PRESENT: Final[dict[str, Callable[[], bool]]] = {
    "root": lambda: os.geteuid() == 0,
    "loop": lambda: Path("/dev/loop-control").exists(),
    "postgresql": lambda: find_binaries() is not None,
    "faketime": lambda: bool(FAKETIME),
    "storescu": lambda: Path("/usr/bin/storescu").exists(),
}


def missing(needs: tuple[str, ...]) -> list[str]:
    """Those of the needs that are not met; a name without a rule is a program on the path."""
    return [need for need in needs if not _PRESENT.get(need, lambda need=need: shutil.which(need) is not None)()]
