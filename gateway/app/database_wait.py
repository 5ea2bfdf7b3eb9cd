"""`serve` before its database is there: not ready, and waiting. Services of a host, or of several, start in no order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Final

from gateway.app.metering import served
from gateway.app.readiness import Readiness
from gateway.config import Settings
from gateway.domain.readiness import Cause, Hindrance
from gateway.errors import DatabaseUnavailableError
from gateway.events import Event, log_event
from gateway.store import reachability
from gateway.store.database import Database
from gateway.workers.retry import Backoff

_BACKOFF: Final = Backoff(first_seconds=1.0, max_seconds=15.0)
_LIVES_SECONDS: Final = 5.0


class DatabaseWait:
    """What `serve` does while nothing else of it runs. stop: set by SIGTERM."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self._settings = settings
        self._stop = stop

    def until_done(self, start: Callable[[], None]) -> bool:
        """Does the start as soon as the database is there. False when stopped before. Raises what waiting cannot cure."""
        url = self._settings.database.url
        refused = not reachability.is_server(url)
        while True:
            try:
                start()
            except DatabaseUnavailableError as error:
                if reachability.is_away(url, error):
                    refused = False
                    if not self._waited(error):
                        return False
                elif refused:
                    raise
                else:
                    # it may have come up between our call and the question whether it is there
                    refused = True
            else:
                return True

    def _waited(self, error: DatabaseUnavailableError) -> bool:
        """Until the database is there, or refuses us; the probes are answered meanwhile. False when stopped before."""
        began, attempts, url = time.monotonic(), 0, self._settings.database.url
        found: DatabaseUnavailableError | None = error
        with closing(Database(url)) as database:
            readiness = Readiness(database, ())
            readiness.say((Hindrance(cause=Cause.DATABASE_DOWN),), frozenset(), self._settings.config_hash)
            with served(lambda: self._settings, database, readiness, dict):
                while found is not None and reachability.is_away(url, found):
                    attempts += 1
                    log_event(
                        Event.DATABASE_AWAITED, level="warning", attempts=attempts, error_class=type(found).__name__, reason=found.detail
                    )
                    if self._paused(_BACKOFF.delay(attempts, 1.0), readiness):
                        return False
                    found = reachability.trouble(url)
        if found is None:
            log_event(Event.DATABASE_REACHED, attempts=attempts, duration_ms=round(1000 * (time.monotonic() - began)))
        return True

    def _paused(self, seconds: float, readiness: Readiness) -> bool:
        """True when it is time to stop."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0 and not self._stop.is_set():
            readiness.lives()
            self._stop.wait(min(_LIVES_SECONDS, left))
        readiness.lives()
        return self._stop.is_set()
