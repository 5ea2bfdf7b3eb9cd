"""A lane's way to its destination: a connection that is opened when it is needed and kept for what follows."""

from __future__ import annotations

import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from gateway.config import DeliverySettings, DestinationSettings
from gateway.delivery.circuit_breaker import CircuitBreaker
from gateway.delivery.connection import Connection
from gateway.domain.delivery import Verdict
from gateway.errors import AssociationLostError, ContextRefusedError, DestinationError, DrainingError
from gateway.events import Event, log_event


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came of a request. dimse_status: the peer's, None when it gave none."""

    verdict: Verdict
    code: str
    dimse_status: int | None = None


def trouble(error: DestinationError) -> Answered:
    """A request that got no status."""
    return Answered(verdict=Verdict.RETRY if error.retryable else Verdict.DEAD, code=error.code)


class Sends(Protocol):
    """Sends one result to the lane's destination; never raises for what a peer does."""

    def send(self, content: bytes, sop_class_uid: str, sop_instance_uid: str, /, *, until: float = math.inf) -> Answered:
        """content: a whole DICOM file of ours. until: see `Link.ask`."""
        ...


class Finds(Protocol):
    """Says whether one result is there; never raises for what a peer does."""

    def ask(self, study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str, /, *, until: float = math.inf) -> Answered:
        """SENT with code `found`: it is there. until: see `Link.ask`."""
        ...


class Talk(Protocol):
    """What is kept between two requests: an association, or an HTTP connection."""

    def serve(self) -> None:
        """Takes what the peer says by itself. DestinationError when it has ended the connection."""
        ...

    def release(self) -> None: ...

    def abort(self) -> None: ...


Made = TypeVar("Made")
Kept = TypeVar("Kept", bound=Talk)


class Link(ABC, Generic[Kept]):
    """Used by one thread; only `stop` may be called from another one.

    on_left_alone: the breaker has opened; on_recovered: it was open, and the destination answers again.
    """

    def __init__(
        self,
        destination: DestinationSettings,
        settings: DeliverySettings,
        breaker: CircuitBreaker,
        *,
        on_recovered: Callable[[], None] = lambda: None,
        on_left_alone: Callable[[], None] = lambda: None,
    ) -> None:
        self._destination = destination
        self._settings = settings
        self._breaker = breaker
        self._on_recovered = on_recovered
        self._on_left_alone = on_left_alone
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._talk: Kept | None = None
        self._used_at = 0.0
        self._until = math.inf
        self._stopped = threading.Event()

    def ask(
        self,
        request: Callable[[Kept], Made],
        *,
        until: float = math.inf,
        repeat: bool = True,
        arrived: Callable[[Made], bool] | None = None,
    ) -> Made:
        """Runs a request over the connection. DestinationError for everything that keeps the peer from giving a status.

        A kept connection may have been ended by the peer meanwhile: one that is seen to have ended is replaced before, and over one that
        ends under the request it is made once more over a new one. repeat False: it never goes out twice. arrived: of a request that
        brings something there, whether an answer says that it is there; without such an answer the first one's loss stands, since
        it may be there by that. until: on time.monotonic(), after which nothing of it goes out, connection and repetition included.
        """
        begun = self._breaker.now()
        self._limit(until)
        try:
            made = self._ask(request, repeat=repeat, arrived=arrived)
        except DestinationError as error:
            if self._stopped.is_set():
                raise DrainingError from error
            if error.answered:
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
        if self._talk is not None and time.monotonic() - self._used_at >= self._settings.reuse_seconds:
            self.close()

    def close(self) -> None:
        """Releases the connection, if there is one."""
        talk, self._talk = self._talk, None
        if talk is not None:
            talk.release()

    def stop(self) -> None:
        """From any thread: what waits for the peer ends now, and nothing new is begun."""
        self._stopped.set()
        with self._lock:
            if self._connection is not None:
                self._connection.cut()

    @abstractmethod
    def _made(self, connection: Connection) -> Kept:
        """Nothing is connected yet."""

    @abstractmethod
    def _begin(self, talk: Kept) -> None:
        """Connects. DestinationError when nothing can be asked over it."""

    def _serve(self) -> None:
        """Whatever the peer does of itself costs its connection, never the lane."""
        if self._talk is None:
            return
        try:
            self._talk.serve()
        except Exception as error:  # noqa: BLE001
            if not isinstance(error, DestinationError):
                log_event(Event.COMMITMENT_REFUSED, level="error", destination=self._destination.name, error_class=type(error).__name__)
            self._drop()

    def _ask(self, request: Callable[[Kept], Made], *, repeat: bool, arrived: Callable[[Made], bool] | None) -> Made:
        self._serve()
        is_kept = self._talk is not None
        try:
            return self._ask_once(request)
        except AssociationLostError as error:
            if not repeat or not is_kept or self._stopped.is_set():
                raise
            lost = error
        if arrived is None:
            return self._ask_once(request)
        try:
            made = self._ask_once(request)
        except DestinationError as error:
            raise lost from error
        if not arrived(made):
            raise lost
        return made

    def _ask_once(self, request: Callable[[Kept], Made]) -> Made:
        try:
            made = request(self._opened())
        except ContextRefusedError:
            raise
        except BaseException:
            self._drop()
            raise
        self._used_at = time.monotonic()
        return made

    def _opened(self) -> Kept:
        if self._talk is None:
            connection = Connection(user_timeout_seconds=self._settings.response_seconds)
            connection.until = self._until
            with self._lock:
                self._connection = connection
            if self._stopped.is_set():
                raise DrainingError
            self._talk = self._made(connection)
            self._begin(self._talk)
        return self._talk

    def _limit(self, until: float) -> None:
        self._until = until
        if self._connection is not None:
            self._connection.until = until

    def _drop(self) -> None:
        talk, self._talk = self._talk, None
        if talk is not None:
            talk.abort()

    def _tell_answered(self) -> None:
        if self._breaker.answered():
            self._on_recovered()
