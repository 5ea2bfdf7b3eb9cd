"""What a DICOMweb service answers when it is looked at: one search for a study that nobody has, over a connection of its own."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from gateway.config import DeliverySettings, DestinationSettings
from gateway.delivery.connection import Connection
from gateway.delivery.http_exchange import HttpExchange
from gateway.errors import DestinationError

_NOBODY: Final = "2.25.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebProbed:
    """code: None when there was an HTTP answer, else the DestinationError's. date: of the peer's clock, where it told it.

    milliseconds: connection and answer together. tls, certificate: as of `Probed`.
    """

    code: str | None
    detail: str = ""
    status: int = 0
    date: datetime | None = None
    milliseconds: float = 0.0
    tls: tuple[str, str] | None = None
    certificate: bytes | None = None


class WebProbe:
    """Never raises for what a peer does."""

    def __init__(self, settings: DeliverySettings) -> None:
        self._settings = settings

    def look(self, destination: DestinationSettings) -> WebProbed:
        with closing(Connection(user_timeout_seconds=self._settings.response_seconds)) as connection:
            exchange, begun = HttpExchange(destination, self._settings, connection), time.monotonic()
            try:
                exchange.open()
                answer = exchange.ask("GET", f"/studies?StudyInstanceUID={_NOBODY}", {"Accept": "application/dicom+json"})
            except DestinationError as error:
                return WebProbed(code=error.code, detail=error.detail)
            return WebProbed(
                code=None,
                status=answer.status,
                date=_date(answer.date),
                milliseconds=round(1000 * (time.monotonic() - begun), 1),
                tls=connection.secured_by,
                certificate=connection.peer_certificate,
            )


def _date(said: str) -> datetime | None:
    """RFC 9110 6.6.1; to the second."""
    try:
        found = parsedate_to_datetime(said)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
