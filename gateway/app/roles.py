"""A role's process, from its start to the exit code that its supervisor reads."""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Final

from gateway.app.role import EXIT_CONFIGURATION, EXIT_DISK, Role
from gateway.app.role_line import RoleLine
from gateway.app.shared_counts import SharedCounts
from gateway.config import Settings
from gateway.dicom.part10 import set_tolerant_reading
from gateway.errors import (
    BundleError,
    ConfigurationError,
    DatabaseNotDurableError,
    GatewayError,
    IntendedUseError,
    PortTakenError,
    SchemaMismatchError,
    SpoolMissingError,
    SpoolNotDurableError,
)
from gateway.events import Event, log_event
from gateway.ops.logging import configure_logging, log_uncaught
from gateway.store.database import Database

_NOT_STARTABLE: Final = (
    BundleError,
    ConfigurationError,
    IntendedUseError,
    PortTakenError,
    SchemaMismatchError,
    SpoolMissingError,
)
"""What starting the role again cannot cure."""
_NOT_DURABLE: Final = (SpoolNotDurableError, DatabaseNotDurableError)


def run_role(
    role: Role,
    settings: Settings,
    sweeps: bool = False,
    supervisor: Connection | None = None,
    started_at: float | None = None,
    counts: SharedCounts | None = None,
) -> None:
    """A role's process: runs until SIGTERM or until its supervisor is gone, then drains. Exits with a code for the supervisor.

    sweeps: put the spool in order first. Of several receivers one does; the others need not wait for it.
    supervisor, started_at: see `RoleLine`. counts: of a receiver that shares its port or its turn with others.
    """
    configure_logging(settings.logging.level, role.value)
    set_tolerant_reading()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda _signal, _frame: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = RoleLine(supervisor, started_at)
    line.listen(stop)
    database = Database(settings.database.url)
    try:
        if sweeps:
            from gateway.app.receiver_role import sweep_spool

            sweep_spool(settings, database)
        code = _runner(role, counts)(settings, database, stop, line)
        log_event(Event.ROLE_STOPPED, role=role.value, exit_code=code)
    except GatewayError as error:
        log_event(Event.ROLE_DIED, level="error", role=role.value, error_class=type(error).__name__, code=error.code)
        # no patient is known yet at this point: the whole text, with its remedy, may be shown
        print(f"strnet-gateway {role.value}: {error}", file=sys.stderr)  # noqa: T201
        code = EXIT_DISK if isinstance(error, _NOT_DURABLE) else EXIT_CONFIGURATION if isinstance(error, _NOT_STARTABLE) else 1
    except Exception as error:  # noqa: BLE001  a role's edge: multiprocessing would print the text, and it may quote a header
        log_uncaught(error)
        code = 1
    finally:
        database.close()
    sys.stdout.flush()
    # no thread that is left behind keeps a drained role alive
    os._exit(code)


def _runner(role: Role, counts: SharedCounts | None) -> Callable[[Settings, Database, threading.Event, RoleLine], int]:
    """Imported where it is needed: a receiver loads no model, a worker no DICOM network."""
    if role is Role.RECEIVER:
        from gateway.app.receiver_role import run_receiver

        return functools.partial(run_receiver, counts=counts)
    if role is Role.SENDER:
        from gateway.app.sender_role import run_sender

        return run_sender
    from gateway.app.worker_role import run_worker

    return run_worker
