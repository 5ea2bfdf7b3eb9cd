"""TLS towards a destination: its chain and its name are always checked. Files are read for each connection: a renewed one is in use."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from gateway.config import DestinationSettings
from gateway.errors import (
    CertificateError,
    DestinationFilesError,
    TlsExpiredError,
    TlsFailedError,
    TlsFilesError,
    TlsRefusedError,
    TlsUntrustedError,
    TlsWrongNameError,
)
from gateway.tls.contexts import show, strict_context, trust

_BY_VERIFY_CODE: Final[dict[int, type[TlsFailedError]]] = {
    9: TlsExpiredError,
    10: TlsExpiredError,
    62: TlsWrongNameError,
    64: TlsWrongNameError,
}
"""X509_V_ERR_CERT_NOT_YET_VALID, _CERT_HAS_EXPIRED, _HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH."""


def client_context(destination: DestinationSettings) -> ssl.SSLContext:
    """DestinationFilesError names the key of the table whose file cannot be used."""
    context = strict_context(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = True
    if destination.tls_authorities is None:
        context.load_default_certs()
    else:
        with _named(destination, "tls_authorities"):
            trust(context, destination.tls_authorities)
    if destination.tls_certificate is not None and destination.tls_key is not None:
        with _named(destination, "tls_certificate and tls_key"):
            show(context, destination.tls_certificate, destination.tls_key)
    return context


def context_of_attempt(destination: DestinationSettings) -> ssl.SSLContext:
    """TlsFilesError: for now; the files may be right at the next attempt."""
    try:
        return client_context(destination)
    except DestinationFilesError as error:
        raise TlsFilesError(error.detail) from error


def handshake_trouble(error: Exception) -> TlsFailedError:
    """What a handshake that failed says of the two sides."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _BY_VERIFY_CODE.get(error.verify_code, TlsUntrustedError)(error.verify_message)
    if is_alert(error):
        return TlsRefusedError(_reason(error))
    return TlsFailedError(_reason(error) or type(error).__name__)


def is_alert(error: Exception) -> bool:
    """True when the destination has said that it ends the connection, and why. In TLS 1.3 it may do so after the handshake: it has
    looked at our certificate only then."""
    return isinstance(error, ssl.SSLError) and "ALERT" in _reason(error)


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or ""


@contextmanager
def _named(destination: DestinationSettings, keys: str) -> Iterator[None]:
    try:
        yield
    except CertificateError as error:
        raise DestinationFilesError(f"destinations.{destination.name}.{keys}: {error.detail}") from error
