"""HTTP/1.1 (RFC 9112) over a connection of ours: the standard library's parser, our deadlines, and a socket that can be cut.

No redirect is followed, no proxy asked, no cookie kept: what is sent goes to the configured host or nowhere.
"""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.config import DeliverySettings, DestinationSettings
from gateway.delivery.connection import Connection
from gateway.delivery.credentials import authorization_of_attempt
from gateway.delivery.reach import reach
from gateway.dicom.uids import IMPLEMENTATION_VERSION_NAME
from gateway.errors import AssociationLostError, DestinationError, NoResponseError

_MAX_ANSWER: Final = 1024 * 1024
"""No answer that we ask for is longer; one that is is not read."""
_PART: Final = 256 * 1024
"""Bytes that must be taken in within `delivery.response_seconds`."""
_EARLY_SECONDS: Final = 1.0
"""For the answer of a peer that takes no more of our request: it may have said why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """date: of the peer's clock, as it says it; empty when it does not."""

    status: int
    date: str
    body: bytes


class HttpExchange:
    """One request at a time, by one thread. An instance is good until its first error."""

    def __init__(self, destination: DestinationSettings, settings: DeliverySettings, connection: Connection) -> None:
        self._destination = destination
        self._settings = settings
        self._connection = connection
        self._base = urlsplit(destination.url).path
        self._authorization: Mapping[str, str] = {}
        self._is_spent = False

    def open(self) -> None:
        """Connects. DestinationError when nothing can be asked over it."""
        self._authorization = authorization_of_attempt(self._destination)
        reach(self._connection, self._destination, self._settings)

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> HttpAnswer:
        """path: below the service's base, with its query. The request within `delivery.message_seconds`, the whole answer within
        `delivery.response_seconds`. AssociationLostError for an answer that is no HTTP, or too long."""
        if self._is_spent:
            raise AssociationLostError("closed after an answer")
        wire = _Wire(self._connection, self._settings)
        client = self._client(wire)
        said = {"User-Agent": IMPLEMENTATION_VERSION_NAME, **self._authorization, **headers}
        try:
            try:
                client.request(method, self._base + path, body, said)
            except (AssociationLostError, NoResponseError) as lost:
                return self._early(client, wire, lost)
            wire.answer_by = time.monotonic() + self._settings.response_seconds
            return self._read(client.getresponse())
        except (HTTPException, ValueError, OSError) as error:
            raise AssociationLostError(f"unreadable answer, {type(error).__name__}") from error

    def serve(self) -> None:
        """The peer has nothing to say by itself: whatever it does ends the connection."""
        if self._is_spent or self._connection.has_news:
            raise AssociationLostError("closed by the peer")

    def release(self) -> None:
        self._connection.close()

    def abort(self) -> None:
        self._connection.close()

    def _client(self, wire: _Wire) -> HTTPConnection:
        host, port = self._destination.address
        client = HTTPConnection(host, port)
        # of the Host header: a port that goes without saying is left out
        client.default_port = 443 if self._destination.uses_tls else 80
        client.auto_open = 0
        client.sock = wire  # type: ignore[assignment]
        return client

    def _read(self, response: HTTPResponse) -> HttpAnswer:
        body = response.read(_MAX_ANSWER + 1)
        if len(body) > _MAX_ANSWER:
            raise AssociationLostError("answer too long")
        self._is_spent = response.will_close
        return HttpAnswer(status=response.status, date=response.headers.get("Date", ""), body=body)

    def _early(self, client: HTTPConnection, wire: _Wire, lost: DestinationError) -> HttpAnswer:
        """An answer that came before the request was whole, as 413 does."""
        wire.answer_by = time.monotonic() + min(_EARLY_SECONDS, self._settings.response_seconds)
        try:
            answer = self._read(client.getresponse())
        except (HTTPException, ValueError, OSError, AssociationLostError, NoResponseError):
            raise lost from None
        self._is_spent = True
        return answer


class _Wire:
    """What `HTTPConnection` needs of a socket. Errors of the connection go through it as they are."""

    def __init__(self, connection: Connection, settings: DeliverySettings) -> None:
        self._connection = connection
        self._part_seconds = settings.response_seconds
        self._request_by = time.monotonic() + settings.message_seconds
        self.answer_by = self._request_by

    def sendall(self, content: Any) -> None:
        whole = memoryview(content)
        for start in range(0, len(whole), _PART):
            by = min(self._request_by, time.monotonic() + self._part_seconds)
            self._connection.write(whole[start : start + _PART], by)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self._connection, self))

    def close(self) -> None:
        """The exchange's owner closes."""


class _Incoming(io.RawIOBase):
    def __init__(self, connection: Connection, wire: _Wire) -> None:
        self._connection = connection
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._connection.read_some(len(buffer), self._wire.answer_by)
        buffer[: len(part)] = part
        return len(part)
