"""X.509 certificates as values: whose they are, and until when."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.errors import CertificateError


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """sha256: of the DER bytes, hex. identities: what `[[peers]].certificates` may name of it, the digest among them."""

    sha256: str
    identities: frozenset[str]
    not_before: datetime
    not_after: datetime


def read_certificate(der: bytes) -> Certificate:
    """CertificateError when it cannot be parsed."""
    try:
        return _certificate(x509.load_der_x509_certificate(der), der)
    except ValueError as error:
        raise CertificateError("certificate_unreadable") from error


def read_certificate_file(path: Path) -> Certificate:
    """The first certificate of a PEM file. CertificateError when there is none."""
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
        return _certificate(found, found.public_bytes(Encoding.DER))
    except (OSError, ValueError) as error:
        raise CertificateError("certificate_unreadable") from error


def _certificate(found: x509.Certificate, der: bytes) -> Certificate:
    digest = hashlib.sha256(der).hexdigest()
    return Certificate(
        sha256=digest,
        identities=frozenset({f"sha256:{digest}", *_names(found)}),
        not_before=found.not_valid_before_utc,
        not_after=found.not_valid_after_utc,
    )


def _names(found: x509.Certificate) -> frozenset[str]:
    """Subject Alternative Names (RFC 5280 4.2.1.6), and the subject's common name, which older modalities have alone."""
    common = {f"cn:{attribute.value!s}" for attribute in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)}
    try:
        alternatives = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset(common)
    dns = {f"dns:{name.lower()}" for name in alternatives.get_values_for_type(x509.DNSName)}
    uri = {f"uri:{name}" for name in alternatives.get_values_for_type(x509.UniformResourceIdentifier)}
    return frozenset(common | dns | uri)
