"""What a role is, and how its process says why it ended."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Any, Final

from gateway.events import Event, log_event
from gateway.store.audit_log import AuditLog

EXIT_DISK: Final = 74
"""sysexits EX_IOERR: an fsync failed; starting again would promise what the disk does not keep."""
EXIT_STUCK: Final = 75
"""sysexits EX_TEMPFAIL: the receiver did not answer its own calls; a new process may."""
EXIT_CONFIGURATION: Final = 78
"""sysexits EX_CONFIG: the role cannot start as it is configured."""


class Role(StrEnum):
    RECEIVER = "receiver"
    WORKER = "worker"
    SENDER = "sender"


def record_start(audit: AuditLog, role: Role, **identifiers: Any) -> None:
    audit.record(Event.ROLE_STARTED, role=role.value, **identifiers)
    log_event(Event.ROLE_STARTED, role=role.value, pid=os.getpid(), **identifiers)
