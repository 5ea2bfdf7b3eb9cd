"""The open associations of one server, and whether each has its row."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pynetdicom.association import Association

from gateway.domain.answered import EndedAssociation, OpenedAssociation
from gateway.errors import DatabaseUnavailableError
from gateway.events import Event, log_event
from gateway.store.receipts import Receipts


class OpenAssociations:
    """Called by the association's own thread; each call is on record when it returns, or noted until the database is back."""

    def __init__(self, receipts: Receipts) -> None:
        self._receipts = receipts
        self._opened: dict[Association, OpenedAssociation] = {}
        self._recorded: set[Association] = set()
        self._lock = threading.Lock()

    def identify(self, association: Association, describe: Callable[[], OpenedAssociation]) -> str:
        """Our id of the association, the same each time; nothing is recorded."""
        with self._lock:
            opened = self._opened.get(association)
        if opened is None:
            opened = describe()
            with self._lock:
                self._opened[association] = opened
        return opened.id

    def begin(self, association: Association) -> None:
        """As `record`, but while the database is known to take nothing it is only noted: whoever calls is answered without waiting."""
        with self._lock:
            opened = self._opened[association]
        if not (self._receipts.noted.is_set() and self._receipts.note(opened)):
            self.record(association)

    def record(self, association: Association) -> None:
        """One that was identified gets its row. DatabaseUnavailableError when it is only noted: it may be recorded again."""
        with self._lock:
            opened, is_recorded = self._opened[association], association in self._recorded
        if not is_recorded:
            self._receipts.open_association(opened)
            with self._lock:
                self._recorded.add(association)

    def end(self, association: Association, ending: str) -> None:
        """The first ending counts."""
        with self._lock:
            opened, is_recorded = self._opened.pop(association, None), association in self._recorded
            self._recorded.discard(association)
        if opened is None:
            return
        if not is_recorded:
            # behind the note of its beginning, so that they become rows in this order
            self._receipts.note(EndedAssociation(association_id=opened.id, ending=ending))
            return
        try:
            self._receipts.end_association(opened.id, ending)
        except DatabaseUnavailableError as error:
            log_event(Event.ASSOCIATION_ABORTED, level="error", association_id=opened.id, error_class=type(error).__name__)
