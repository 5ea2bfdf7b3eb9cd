"""A process seen from outside, by /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Load:
    """rss in MiB, CPU in seconds since the start of the process. sockets: of the descriptors; listening ones too."""

    rss_mb: float
    threads: int
    descriptors: int
    sockets: int
    cpu_seconds: float


def load_of(pid: int) -> Load:
    proc = Path(f"/proc/{pid}")
    # the name in parentheses may hold blanks
    links = [link for link in map(_target, (proc / "fd").iterdir()) if link]
    fields = (proc / "stat").read_text().rpartition(")")[2].split()
    return Load(
        rss_mb=int(fields[21]) * _PAGE / 2**20,
        threads=int(fields[17]),
        descriptors=len(links),
        sockets=sum(link.startswith("socket:") for link in links),
        cpu_seconds=(int(fields[11]) + int(fields[12])) / _TICKS,
    )


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def threads_of(pid: int) -> list[int]:
    return [int(path.name) for path in Path(f"/proc/{pid}/task").iterdir()]


def is_stopped(pid: int) -> bool:
    """True when every thread stands still, with or without a tracer."""
    try:
        states = [Path(f"/proc/{pid}/task/{thread}/stat").read_text().rpartition(")")[2].split()[0] for thread in threads_of(pid)]
    except OSError:
        return False
    return all(state in "tT" for state in states)


def holds_port(pid: int, port: int) -> bool:
    """True when the process has the connection that goes out from this port of 127.0.0.1."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    wanted = {f"socket:[{row[9]}]" for row in rows if row[1] == f"0100007F:{port:04X}"}
    try:
        return any(_target(link) in wanted for link in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False
