"""Waiting for a fact, with an end."""

from __future__ import annotations

import time
from collections.abc import Callable


class NeverHappenedError(AssertionError):
    """What was waited for, in words that hold no path, port or time; the detail may."""

    def __init__(self, what: str, detail: str = "") -> None:
        super().__init__(what)
        self.detail = detail


def happens(fact: Callable[[], bool], seconds: float) -> bool:
    """True as soon as the fact is one, False when it is none within the time."""
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def wait_for(fact: Callable[[], bool], seconds: float, what: str) -> None:
    if not happens(fact, seconds):
        raise NeverHappenedError(what)
