"""What a role is, and how its process says why it ended."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Any, Final

from gateway.app.role_line import RoleLine
from gateway.events import Event, log_event
from gateway.store.audit_log import AuditLog

DRAIN_SHARE: Final = 0.8
"""Of the grace period: what is not finished then is cut off or given back, so that the process ends by itself and not by a kill."""

EXIT_DISK: Final = 74
"""sysexits EX_IOERR: an fsync failed; starting again would promise what the disk does not keep."""
EXIT_STUCK: Final = 75
"""sysexits EX_TEMPFAIL: the receiver did not answer its own calls; a new process may."""
EXIT_ANEW: Final = 76
"""Drained, to be started anew at once: another bundle is live. No death."""
EXIT_CONFIGURATION: Final = 78
"""sysexits EX_CONFIG: it cannot start as it is configured, or on what it finds (bundle, schema, port); only a person can help."""


class Role(StrEnum):
    RECEIVER = "receiver"
    WORKER = "worker"
    SENDER = "sender"


def record_start(audit: AuditLog, role: Role, line: RoleLine, **identifiers: Any) -> None:
    """The role is ready. The log has how long that took, from the start of its process."""
    audit.record(Event.ROLE_STARTED, role=role.value, **identifiers)
    log_event(Event.ROLE_STARTED, role=role.value, pid=os.getpid(), duration_ms=line.ready(), **identifiers)
