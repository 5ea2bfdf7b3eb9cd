"""Removes files of the spool, one by one: one that cannot be removed keeps no other."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.events import Event, log_event
from gateway.store.spool import Spool


def removed(spool: Spool, names: Sequence[str]) -> list[str]:
    """Those that are gone. The others are told together: it is mostly the same that stands against all of them."""
    gone: list[str] = []
    refused: list[OSError] = []
    for name in names:
        try:
            spool.remove(name)
        except OSError as error:
            refused.append(error)
        else:
            gone.append(name)
    if refused:
        log_event(Event.RETENTION_HINDERED, level="error", count=len(refused), error_class=type(refused[0]).__name__)
    return gone
