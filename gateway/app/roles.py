"""A role's process, from its start to the exit code that its supervisor reads."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final

from gateway.app.role import EXIT_CONFIGURATION, EXIT_DISK, Role
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


def run_role(role: Role, settings: Settings, sweeps: bool = False) -> None:
    """A role's process: runs until SIGTERM or until its parent is gone, then drains. Exits with a code for the supervisor.

    sweeps: put the spool in order first. Of several receivers one does; the others need not wait for it.
    """
    configure_logging(settings.logging.level, role.value)
    set_tolerant_reading()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda _signal, _frame: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _watch_parent(stop)
    database = Database(settings.database.url)
    try:
        if sweeps:
            from gateway.app.receiver_role import sweep_spool

            sweep_spool(settings, database)
        code = _runner(role)(settings, database, stop)
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


def _watch_parent(stop: threading.Event) -> None:
    """A role must not outlive its supervisor, however that died."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        stop.set()

    threading.Thread(target=wait, name="parent-watch", daemon=True).start()


def _runner(role: Role) -> Callable[[Settings, Database, threading.Event], int]:
    """Imported where it is needed: a receiver loads no model, a worker no DICOM network."""
    if role is Role.RECEIVER:
        from gateway.app.receiver_role import run_receiver

        return run_receiver
    if role is Role.SENDER:
        from gateway.app.sender_role import run_sender

        return run_sender
    from gateway.app.job_roles import run_worker

    return run_worker
