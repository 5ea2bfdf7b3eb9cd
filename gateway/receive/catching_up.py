"""What was answered while the database took nothing gets its rows once it is back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from gateway.errors import DatabaseNotDurableError, DatabaseUnavailableError
from gateway.events import Event, log_event
from gateway.store.receipts import Receipts

_AGAIN_SECONDS: Final = 2.0


class CatchingUp:
    """A thread that sleeps as long as there is nothing to catch up with."""

    def __init__(self, receipts: Receipts, *, on_fatal: Callable[[], None]) -> None:
        """on_fatal: an fsync of the database failed."""
        self._receipts = receipts
        self._on_fatal = on_fatal
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="receiver-catching-up", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """A call to the database that hangs is not waited for longer; what is left stands in the process's file."""
        self._stopping.set()
        self._receipts.noted.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            self._receipts.noted.wait()
            if self._stopping.is_set():
                return
            try:
                log_event(Event.RECEIPTS_TAKEN_UP, count=self._receipts.take_up())
            except DatabaseNotDurableError:
                self._on_fatal()
                return
            except DatabaseUnavailableError:
                pass
            except Exception as error:  # noqa: BLE001  without this thread nothing that is noted would have its rows before the next start
                log_event(Event.RECEIPTS_FAILED, level="error", error_class=type(error).__name__)
            if self._receipts.noted.is_set():
                self._stopping.wait(_AGAIN_SECONDS)
