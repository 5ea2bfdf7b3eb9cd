"""SIGHUP is blocked before anything is imported that starts threads: one without the block would be ended by the signal.

Imported first by `main`. Only `serve` keeps the block, and takes the signal in a thread (gateway/app/reload.py).
"""

from __future__ import annotations

import signal

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def end_by_hang_up() -> None:
    """As every program: a terminal that goes takes the command with it."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
