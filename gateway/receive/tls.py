"""TLS of the receiver: the context of new connections, taken anew when its files change."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from gateway.config import TlsSettings
from gateway.errors import CertificateError
from gateway.tls.certificates import Certificate, read_certificate, read_certificate_file
from gateway.tls.contexts import show, strict_context, trust

_REASONS: Final = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no_certificate",
    "UNSUPPORTED_PROTOCOL": "tls_version",
    "VERSION_TOO_LOW": "tls_version",
    "WRONG_SSL_VERSION": "tls_version",
    "WRONG_VERSION_NUMBER": "no_tls",
    "HTTP_REQUEST": "no_tls",
    "HTTPS_PROXY_REQUEST": "no_tls",
    "NO_SHARED_CIPHER": "cipher_suite",
}
_EXPIRED, _NOT_YET_VALID, _PURPOSE = 10, 9, 26
"""X509_V_ERR_CERT_HAS_EXPIRED, _CERT_NOT_YET_VALID, _INVALID_PURPOSE."""
_VERIFY_REASONS: Final = {_EXPIRED: "certificate_expired", _NOT_YET_VALID: "certificate_not_yet_valid", _PURPOSE: "certificate_purpose"}

_Marks = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Files that are in use from now on."""

    certificate: Certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Changed files that cannot be used: the former ones stay. reason: a code."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsIdentity:
    """What a connection's TLS says of its peer."""

    version: str
    certificate: Certificate | None


class TlsContexts:
    """Gives the context for a new connection. The files are looked at each time: three stat calls, no signal, no timer.

    A change is thus taken up by every receiver process by itself. Associations that are open keep the context they began with.
    """

    def __init__(self, settings: TlsSettings, on_change: Callable[[Loaded | Kept], None]) -> None:
        """CertificateError when TLS is required and its files cannot be used."""
        self._settings = settings
        self._on_change = on_change
        self._lock = threading.Lock()
        self._marks: _Marks = ()
        self._context: ssl.SSLContext | None = None
        if settings.required:
            self._marks = self._look()
            self._context = new_context(settings)
            on_change(Loaded(certificate=read_certificate_file(settings.certificate)))

    def current(self) -> ssl.SSLContext | None:
        """None = plain DICOM."""
        if self._context is not None and self._look() != self._marks:
            with self._lock:
                self._take_up()
        return self._context

    def _look(self) -> _Marks:
        return tuple(_mark(path) for path in _files(self._settings))

    def _take_up(self) -> None:
        marks = self._look()
        if marks == self._marks:
            return
        # also when they are bad: they are tried again when they change again, not with each connection
        self._marks = marks
        try:
            context, certificate = new_context(self._settings), read_certificate_file(self._settings.certificate)
            _check_validity(certificate)
        except CertificateError as error:
            self._on_change(Kept(reason=error.detail))
            return
        self._context = context
        self._on_change(Loaded(certificate=certificate))


def new_context(settings: TlsSettings) -> ssl.SSLContext:
    """A server's context that demands a certificate. CertificateError's detail is a code."""
    context = strict_context(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0
    show(context, settings.certificate, settings.key)
    trust(context, settings.authorities)
    return context


def seconds_left(settings: TlsSettings, now: datetime) -> float | None:
    """Until our certificate's end, negative after it; None without TLS or with a file that cannot be read."""
    if not settings.required:
        return None
    try:
        return (read_certificate_file(settings.certificate).not_after - now).total_seconds()
    except CertificateError:
        return None


def refusal_reason(error: BaseException | None) -> str:
    """Why a handshake failed, as a code for log and audit."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFY_REASONS.get(error.verify_code, "certificate_untrusted")
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError)):
        return "broken_off"
    reason = getattr(error, "reason", None) or ""
    if "ALERT" in reason:
        return "refused_by_peer"
    return _REASONS.get(reason, "handshake_failed")


def identity_of(connection: Any) -> TlsIdentity | None:
    """What the socket of a connection says of its peer; None for a plain one."""
    if not isinstance(connection, ssl.SSLSocket):
        return None
    try:
        der = connection.getpeercert(binary_form=True)
        return TlsIdentity(version=connection.version() or "", certificate=read_certificate(der) if der else None)
    except (CertificateError, OSError, ValueError):
        return TlsIdentity(version="", certificate=None)


def _check_validity(certificate: Certificate) -> None:
    if not certificate.not_before <= datetime.now(UTC) < certificate.not_after:
        raise CertificateError("certificate_expired")


def _files(settings: TlsSettings) -> tuple[Path, Path, Path]:
    return settings.certificate, settings.key, settings.authorities


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
