"""A lane's way to its destination: an association that is opened when it is needed and kept for what follows."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from gateway.config import DeliverySettings, DestinationSettings
from gateway.delivery.association import Association, Contexts
from gateway.delivery.circuit_breaker import CircuitBreaker
from gateway.delivery.connection import Connection
from gateway.dicom.uids import RESULT_SOP_CLASSES, STORAGE_COMMITMENT, STUDY_ROOT_FIND
from gateway.domain.delivery import Verdict
from gateway.errors import AssociationLostError, AssociationRejectedError, ContextRefusedError, DestinationError, DrainingError
from gateway.events import Event, log_event

Made = TypeVar("Made")
_RESULTS: Final = {uid: [ExplicitVRLittleEndian] for uid in sorted(RESULT_SOP_CLASSES)}
_CONFIRMING: Final[dict[str, Contexts]] = {
    "none": {},
    "storage_commitment": {STORAGE_COMMITMENT: [ExplicitVRLittleEndian, ImplicitVRLittleEndian]},
    "find": {STUDY_ROOT_FIND: [ExplicitVRLittleEndian, ImplicitVRLittleEndian]},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came of a request. dimse_status: the peer's, None when it gave none."""

    verdict: Verdict
    code: str
    dimse_status: int | None = None


def trouble(error: DestinationError) -> Answered:
    """A request that got no status."""
    return Answered(verdict=Verdict.RETRY if error.retryable else Verdict.DEAD, code=error.code)


def no_report(_primitive: Any, _transfer_syntax_uid: str) -> Any:
    """For a link over which no commitment is asked for: whatever the peer reports by itself ends the association."""
    raise AssociationLostError("unasked report")


class DestinationLink:
    """Used by one thread; only `stop` may be called from another one.

    on_report: see `Association`. on_left_alone: the breaker has opened; on_recovered: it was open, and the destination answers again.
    """

    def __init__(
        self,
        destination: DestinationSettings,
        settings: DeliverySettings,
        breaker: CircuitBreaker,
        *,
        on_report: Callable[[Any, str], Any] = no_report,
        on_recovered: Callable[[], None] = lambda: None,
        on_left_alone: Callable[[], None] = lambda: None,
    ) -> None:
        self._destination = destination
        self._settings = settings
        self._breaker = breaker
        self._on_report = on_report
        self._on_recovered = on_recovered
        self._on_left_alone = on_left_alone
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._association: Association | None = None
        self._used_at = 0.0
        self._until = math.inf
        self._stopped = threading.Event()

    def ask(self, request: Callable[[Association], Made], *, until: float = math.inf, repeat: bool = True) -> Made:
        """Runs a request over the association. DestinationError for everything that keeps the peer from giving a status.

        A kept association may have been ended by the peer meanwhile: then the request is made once more over a new one. repeat False:
        it never goes out twice; an association that is seen to have ended is replaced before. until: on time.monotonic(), after which
        nothing of it goes out, connection and repetition included.
        """
        begun = self._breaker.now()
        self._limit(until)
        try:
            made = self._ask(request, repeat=repeat)
        except DestinationError as error:
            if self._stopped.is_set():
                raise DrainingError from error
            if isinstance(error, ContextRefusedError | AssociationRejectedError):
                self._tell_answered()
            elif self._breaker.failed(begun):
                self._on_left_alone()
            raise
        finally:
            # what follows by itself, as its release, is no part of the request
            self._limit(math.inf)
        self._tell_answered()
        return made

    def pause(self) -> float:
        """Seconds for which the destination is left alone."""
        return self._breaker.pause_seconds

    def idle(self) -> None:
        """There is nothing to send: takes what the peer reports by itself, and releases what has not been used for a while."""
        self._serve()
        if self._association is not None and time.monotonic() - self._used_at >= self._settings.reuse_seconds:
            self.close()

    def close(self) -> None:
        """Releases the association, if there is one."""
        association, self._association = self._association, None
        if association is not None:
            association.release()

    def stop(self) -> None:
        """From any thread: what waits for the peer ends now, and nothing new is begun."""
        self._stopped.set()
        with self._lock:
            if self._connection is not None:
                self._connection.cut()

    def _serve(self) -> None:
        """Whatever the peer does of itself costs its association, never the lane."""
        if self._association is None:
            return
        try:
            self._association.serve()
        except Exception as error:  # noqa: BLE001
            if not isinstance(error, DestinationError):
                log_event(Event.COMMITMENT_REFUSED, level="error", destination=self._destination.name, error_class=type(error).__name__)
            self._drop()

    def _ask(self, request: Callable[[Association], Made], *, repeat: bool) -> Made:
        if not repeat:
            self._serve()
            return self._ask_once(request)
        is_kept = self._association is not None
        try:
            return self._ask_once(request)
        except AssociationLostError:
            if not is_kept or self._stopped.is_set():
                raise
        return self._ask_once(request)

    def _ask_once(self, request: Callable[[Association], Made]) -> Made:
        try:
            made = request(self._opened())
        except ContextRefusedError:
            raise
        except BaseException:
            self._drop()
            raise
        self._used_at = time.monotonic()
        return made

    def _opened(self) -> Association:
        if self._association is None:
            connection = Connection(user_timeout_seconds=self._settings.response_seconds)
            connection.until = self._until
            with self._lock:
                self._connection = connection
            if self._stopped.is_set():
                raise DrainingError
            self._association = Association(self._destination, self._settings, connection, self._on_report)
            self._association.request({**_RESULTS, **_CONFIRMING[self._destination.commitment]})
        return self._association

    def _limit(self, until: float) -> None:
        self._until = until
        if self._connection is not None:
            self._connection.until = until

    def _drop(self) -> None:
        association, self._association = self._association, None
        if association is not None:
            association.abort()

    def _tell_answered(self) -> None:
        if self._breaker.answered():
            self._on_recovered()
