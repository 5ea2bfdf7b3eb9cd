"""A DICOMweb destination under `strnet-gateway check`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.config import DestinationSettings
from gateway.delivery.http_status import meaning_of
from gateway.delivery.web_probe import WebProbe, WebProbed
from gateway.domain.check import Line, bad, good, note
from gateway.ops.way_check import facts, failure, tls_lines

_UNAUTHORIZED: Final = (401, 403, 407)
_NOT_FOUND: Final = 404
_ALLOWED_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WebCheck:
    """Looks at a service once, by a search: that changes nothing there. What it would store only a store tells."""

    probe: WebProbe
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def lines(self, destination: DestinationSettings) -> Iterator[Line]:
        probed = self.probe.look(destination)
        if probed.code is not None:
            yield failure(destination, "HTTP", probed.code, probed.detail)
            return
        yield from tls_lines(destination, probed.tls, probed.certificate, self.now())
        yield _answer(destination, probed)
        yield note(destination.name, "context", "classes_not_told", "not told by DICOMweb before something is stored")
        yield self._clock(destination, probed)

    def _clock(self, destination: DestinationSettings, probed: WebProbed) -> Line:
        """By its Date header, which is to the second."""
        if probed.date is None:
            return note(destination.name, "clock", "clock_not_told", "no Date header")
        seconds = (probed.date - self.now()).total_seconds()
        said = f"{abs(seconds):.0f} s {'ahead' if seconds > 0 else 'behind'} this machine"
        if abs(seconds) > _ALLOWED_SECONDS:
            return bad(destination.name, "clock", "clock_differs", said)
        return good(destination.name, "clock", said)


def _answer(destination: DestinationSettings, probed: WebProbed) -> Line:
    said, named = f"{probed.status} after {probed.milliseconds:.0f} ms", {**facts(destination), "detail": str(probed.status)}
    _, let_in = meaning_of(probed.status)
    if probed.status in _UNAUTHORIZED:
        return bad(destination.name, "HTTP", "http_unauthorized", said, **named)
    if probed.status == _NOT_FOUND and destination.commitment != "find":
        return note(destination.name, "HTTP", "search_not_there", said)
    if probed.status == _NOT_FOUND:
        return bad(destination.name, "HTTP", "http_path", said, **named)
    return good(destination.name, "HTTP", said) if let_in else bad(destination.name, "HTTP", "http_refused", said, **named)
