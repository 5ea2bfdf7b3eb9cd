"""DICOMweb (PS3.18): STOW-RS sends a result, QIDO-RS says whether it is there, and any answer at all is a sign of life."""

from __future__ import annotations

import json
import math
import uuid
from contextlib import closing
from typing import Final

from gateway.config import DeliverySettings, DestinationSettings
from gateway.delivery.connection import Connection
from gateway.delivery.http_exchange import HttpAnswer, HttpExchange
from gateway.delivery.http_status import meaning_of
from gateway.delivery.link import Answered, Link, trouble
from gateway.delivery.peer_status import verdict_for
from gateway.delivery.store_response import stated_of
from gateway.domain.confirmation import NOT_FOUND
from gateway.domain.delivery import Verdict
from gateway.errors import DestinationError, HttpRefusedError

_JSON: Final = "application/dicom+json"
_FOUND_NOTHING: Final = 204
_FOUND: Final = 200
_NOT_FOUND_HERE: Final = 404
_STATED: Final = (200, 202, 409)
"""Answers to a store transaction that say what became of each instance (PS3.18 table 10.5.3-1)."""
_SUCCESS: Final = 0x0000
_NOBODY: Final = "2.25.0"
_SOP_INSTANCE: Final = "00080018"


class DicomWebLink(Link[HttpExchange]):
    """A lane's way to a DICOMweb service: an HTTP connection that is kept for what follows."""

    def _made(self, connection: Connection) -> HttpExchange:
        return HttpExchange(self._destination, self._settings, connection)

    def _begin(self, talk: HttpExchange) -> None:
        talk.open()


class StowRs:
    """Sends over a link; never raises for what a peer does."""

    def __init__(self, link: DicomWebLink) -> None:
        self._link = link

    def send(self, content: bytes, _sop_class_uid: str, sop_instance_uid: str, *, until: float = math.inf) -> Answered:
        """content: a whole DICOM file of ours, sent byte for byte. until: see `Link.ask`."""
        boundary = _boundary(content)
        body = b"--%b\r\nContent-Type: application/dicom\r\n\r\n%b\r\n--%b--\r\n" % (boundary, content, boundary)
        kind = f'multipart/related; type="application/dicom"; boundary={boundary.decode()}'
        try:
            answer = self._link.ask(
                lambda http: _let_in(http.ask("POST", "/studies", _said(kind), body)),
                until=until,
                arrived=lambda answer: _of_store(answer, sop_instance_uid).verdict is Verdict.SENT,
            )
        except DestinationError as error:
            return trouble(error)
        return _of_store(answer, sop_instance_uid)


class QidoRs:
    """Asks over a link; never raises for what a peer does."""

    def __init__(self, link: DicomWebLink) -> None:
        self._link = link

    def ask(self, study_instance_uid: str, _series_instance_uid: str, sop_instance_uid: str, *, until: float = math.inf) -> Answered:
        """SENT with code `found`: it is there. until: see `Link.ask`."""
        path = f"/studies/{study_instance_uid}/instances?SOPInstanceUID={sop_instance_uid}"
        try:
            answer = self._link.ask(lambda http: _let_in(http.ask("GET", path, _said())), until=until)
        except DestinationError as error:
            return trouble(error)
        there = _instances(answer.body) if answer.status in (_FOUND, _FOUND_NOTHING) else None
        if there is None:
            return Answered(verdict=Verdict.RETRY, code=f"http_{answer.status}")
        if sop_instance_uid in there:
            return Answered(verdict=Verdict.SENT, code="found")
        return Answered(verdict=Verdict.RETRY, code=NOT_FOUND)


class DicomWebEcho:
    """A sign of life over a connection of its own: a search for a study that nobody has. It says nothing of what would be stored."""

    def __init__(self, settings: DeliverySettings) -> None:
        self._settings = settings

    def silence(self, destination: DestinationSettings) -> str | None:
        """None when it answered, else a code that says how not. One that does not search, but stores, is there."""
        with closing(Connection(user_timeout_seconds=self._settings.response_seconds)) as connection:
            exchange = HttpExchange(destination, self._settings, connection)
            try:
                exchange.open()
                status = exchange.ask("GET", f"/studies?StudyInstanceUID={_NOBODY}", _said()).status
            except DestinationError as error:
                return error.code
        _, let_in = meaning_of(status)
        return None if let_in or status == _NOT_FOUND_HERE else f"http_{status}"


def _said(content_type: str = "") -> dict[str, str]:
    return {"Accept": _JSON, **({"Content-Type": content_type} if content_type else {})}


def _boundary(content: bytes) -> bytes:
    while True:
        found = uuid.uuid4().hex.encode()
        if found not in content:
            return found


def _let_in(answer: HttpAnswer) -> HttpAnswer:
    """HttpRefusedError when the service itself was not reached: the link counts it as such."""
    _, let_in = meaning_of(answer.status)
    if not let_in:
        raise HttpRefusedError(answer.status)
    return answer


def _of_store(answer: HttpAnswer, sop_instance_uid: str) -> Answered:
    stated = stated_of(answer.body, sop_instance_uid) if answer.status in _STATED else None
    if stated is not None and stated.stored:
        return Answered(verdict=Verdict.SENT, code="warning" if stated.status else "success", dimse_status=stated.status or _SUCCESS)
    if stated is not None and stated.status is not None:
        return _of_failure(stated.status)
    verdict, _ = meaning_of(answer.status)
    return Answered(verdict=verdict, code=f"http_{answer.status}")


def _of_failure(reason: int) -> Answered:
    """By the table of DIMSE. Of what has failed only a duplicate is there all the same."""
    verdict, code = verdict_for(reason)
    if verdict is Verdict.SENT and code != "already_there":
        verdict, code = Verdict.RETRY, "unknown_status"
    return Answered(verdict=verdict, code=code, dimse_status=reason)


def _instances(body: bytes) -> frozenset[str] | None:
    """SOP Instance UIDs of a search's matches; None when it cannot be read."""
    try:
        matches = json.loads(body) if body else []
        return frozenset(str(uid) for match in matches for uid in match[_SOP_INSTANCE]["Value"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
