"""Descriptors: a receiver that runs out of them, and one that has more than select() can count."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .attacks import connected
from .sender import Sender
from .target import Target, wait_until

_FEW: Final = 100
_MANY: Final = 1100
_SPIN_PERCENT: Final = 60.0


@dataclass(frozen=True)
class Outcome:
    passed: bool
    descriptors: int
    cpu_percent: float
    sender_seconds: float


def running_out(folder: Path, sender: Sender) -> Outcome:
    """Connections until no descriptor is left: the accept loop does not spin, and the sender is served when they have gone."""
    settings = "max_connections = 1000\nmax_connections_per_address = 1000\npdu_seconds = 3\nidle_seconds = 4\nself_check_seconds = 0"
    with Target(folder, settings, descriptors=_FEW) as target, connected(target.port, 3 * _FEW) as peers:
        before, began = target.cost(), time.monotonic()
        time.sleep(2)  # the interval over which the processor's use is measured
        after = target.cost()
        percent = 100 * (after.cpu_seconds - before.cpu_seconds) / (time.monotonic() - began)
        for peer in peers:
            peer.socket.close()
        wait_until(lambda: target.cost().descriptors < _FEW // 2, 30)
        seconds, stored = sender.send(target)
        return Outcome(
            stored and percent < _SPIN_PERCENT and after.descriptors <= _FEW, after.descriptors, round(percent, 1), round(seconds, 2)
        )


def beyond_1024(folder: Path, sender: Sender) -> Outcome:
    """A sender whose descriptor has a number that select() does not take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * _MANY), hard))
    settings = "max_connections = 2000\nmax_connections_per_address = 2000\nidle_seconds = 60\nself_check_seconds = 0"
    try:
        with Target(folder, settings, descriptors=min(hard, 4 * _MANY)) as target, connected(target.port, _MANY):
            wait_until(lambda: target.cost().descriptors > _MANY, 30)
            before, began = target.cost(), time.monotonic()
            seconds, stored = sender.send(target)
            percent = 100 * (target.cost().cpu_seconds - before.cpu_seconds) / (time.monotonic() - began)
            return Outcome(stored and before.descriptors > 1024, before.descriptors, round(percent, 1), round(seconds, 2))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
