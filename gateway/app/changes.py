"""What a changed configuration touches: which roles are started anew for it, and what cannot change while the gateway runs. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel

from gateway.app.role import Role
from gateway.config import Settings

_ALL: Final = frozenset(Role)
_NONE: Final[frozenset[Role]] = frozenset()
_RECEIVER: Final = frozenset({Role.RECEIVER})
_WORKER: Final = frozenset({Role.WORKER})
_SENDER: Final = frozenset({Role.SENDER})

TOUCHES: Final[dict[str, frozenset[Role] | None]] = {
    "serve": _NONE,
    "serve.grace_seconds": _ALL,
    "logging": _ALL,
    "database": None,
    # the watches of every role go by it: by two different reserves they would raise and clear the same alarm in turn
    "spool": _ALL,
    "spool.folder": None,
    "receiver": _RECEIVER,
    "receiver.host": None,
    "receiver.port": None,
    "receiver.processes": None,
    "tls": _RECEIVER,
    "peers": _RECEIVER | _WORKER,
    "routes": _WORKER | _SENDER,
    "eligibility": _WORKER,
    "quality": _WORKER,
    "model": _WORKER,
    "worker": _WORKER | _SENDER,
    # receivers' watches of the clock allow for a part of it
    "worker.lease_seconds": _ALL,
    "results": _WORKER,
    "destinations": _ALL,
    "delivery": _SENDER,
    "metrics": None,
    "alarms": _WORKER | _SENDER,
    "retention": _WORKER | _SENDER,
    "reconcile": _SENDER,
}
"""By section, or by key where it differs from its section. None: only a restart of the gateway takes it up. Empty: the supervisor
takes it up itself."""


def changed_keys(before: Settings, after: Settings) -> tuple[str, ...]:
    """`section.key` of what differs; the name alone for a section that may stand several times."""
    return tuple(_changed(before, after))


def fixed_keys(before: Settings, after: Settings) -> tuple[str, ...]:
    """Those of the changed keys that cannot change while the gateway runs."""
    return tuple(key for key in changed_keys(before, after) if _touched(key) is None)


def touched_roles(before: Settings, after: Settings) -> frozenset[Role]:
    """The roles that must be started anew to work by `after`."""
    return frozenset().union(*(_touched(key) or _NONE for key in changed_keys(before, after)))


def _touched(key: str) -> frozenset[Role] | None:
    return TOUCHES[key] if key in TOUCHES else TOUCHES[key.partition(".")[0]]


def _changed(before: Settings, after: Settings) -> Iterator[str]:
    for section in Settings.model_fields:
        old, new = getattr(before, section), getattr(after, section)
        if not isinstance(old, BaseModel):
            if old != new:
                yield section
            continue
        for key in type(old).model_fields:
            if getattr(old, key) != getattr(new, key):
                yield f"{section}.{key}"
