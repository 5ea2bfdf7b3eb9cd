"""The way to a destination under `strnet-gateway check`, whatever its protocol: why there is none, its TLS, and each certificate's end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from gateway.config import DestinationSettings
from gateway.domain.check import Line, bad, code_of_failure, good, note
from gateway.tls.certificates import Certificate, read_certificate, read_certificate_file

_SOON: Final = timedelta(days=30)


def tls_lines(destination: DestinationSettings, tls: tuple[str, str] | None, certificate: bytes | None, now: datetime) -> Iterator[Line]:
    """tls: version and cipher suite; certificate: the peer's, as DER."""
    if tls is None or certificate is None:
        yield note(destination.name, "TLS", "tls_off", "plain")
        return
    yield good(destination.name, "TLS", f"{tls[0]}, {tls[1]}")
    yield _expiry(destination, "peer's certificate", read_certificate(certificate), "tls_expires_soon", now)
    if destination.tls_certificate is not None:
        yield _expiry(destination, "our certificate", read_certificate_file(destination.tls_certificate), "tls_own_expires_soon", now)


def failure(destination: DestinationSettings, step: str, code: str, detail: str) -> Line:
    """Nothing could be asked: a DestinationError's code and detail in words."""
    found = code_of_failure(code, detail)
    return bad(destination.name, step, found, f"{code} {detail}".strip(), detail=detail or code, **facts(destination))


def facts(destination: DestinationSettings) -> dict[str, str]:
    """What the remedies name of a destination."""
    host, port = destination.address
    return {
        "table": f"[[destinations]] {destination.name}",
        "host": host,
        "port": str(port),
        "tls_name": destination.peer_name,
        "ae_title": destination.ae_title,
        "calling_ae_title": destination.calling_ae_title,
    }


def _expiry(destination: DestinationSettings, step: str, certificate: Certificate, code: str, now: datetime) -> Line:
    left = certificate.not_after - now
    said = f"valid until {certificate.not_after:%F}, {left.days} day(s)"
    return bad(destination.name, step, code, said, **facts(destination)) if left < _SOON else good(destination.name, step, said)
