"""A network namespace with a cable that can be pulled. Needs root."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

_OURS, _THEIRS = "198.18.47.1", "198.18.47.2"
"""RFC 2544: addresses that belong to nobody."""
_NAME: Final = "strnet-fault"


@dataclass(frozen=True, slots=True)
class Cable:
    """ours: the gateway's address; theirs: its peer's, in the namespace."""

    ours: str
    theirs: str
    namespace: str

    @property
    def inside(self) -> tuple[str, ...]:
        """What a command in the namespace begins with."""
        return ("ip", "netns", "exec", self.namespace)

    def pull(self) -> None:
        """From now on neither side hears of the other: no FIN, no RST."""
        _ip("-n", self.namespace, "link", "set", f"{_NAME[:10]}-b", "down")

    def plug(self) -> None:
        """Back in."""
        _ip("-n", self.namespace, "link", "set", f"{_NAME[:10]}-b", "up")


@contextmanager
def cable() -> Iterator[Cable]:
    ours, theirs = f"{_NAME[:10]}-a", f"{_NAME[:10]}-b"
    _ip("netns", "add", _NAME)
    try:
        _ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", _NAME)
        _ip("address", "add", f"{_OURS}/30", "dev", ours)
        _ip("link", "set", ours, "up")
        _ip("-n", _NAME, "address", "add", f"{_THEIRS}/30", "dev", theirs)
        _ip("-n", _NAME, "link", "set", theirs, "up")
        _ip("-n", _NAME, "link", "set", "lo", "up")
        yield Cable(_OURS, _THEIRS, _NAME)
    finally:
        # one end takes the other with it, at once; a deleted namespace would let go of it later
        subprocess.run(["ip", "link", "delete", ours], capture_output=True, check=False)
        _ip("netns", "delete", _NAME)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(done.returncode, f"ip {' '.join(words)}: {done.stderr.strip()}")
