"""What every TLS context of ours has (PS3.15 B.12, "BCP 195 RFC 8996, 9325"), and the loading of its files."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from gateway.errors import CertificateError
from gateway.tls.certificates import read_certificate_file

_SUITES: Final = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
"""Of TLS 1.2: forward secret and authenticated (RFC 9325 4.2). OpenSSL's own of TLS 1.3 are all of that kind."""


def strict_context(protocol: int) -> ssl.SSLContext:
    """protocol: ssl.PROTOCOL_TLS_SERVER or PROTOCOL_TLS_CLIENT. The other side must show a certificate."""
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_SUITES)
    # a resumed session would not be verified against authorities that have changed since
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def show(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """The context proves who we are by these files. CertificateError's detail is a code."""
    read_certificate_file(certificate)
    try:
        # a key with a password must fail here, not ask for it on a terminal
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, OSError) as error:
        mismatch = getattr(error, "reason", None) == "KEY_VALUES_MISMATCH"
        raise CertificateError("key_mismatch" if mismatch else "key_unreadable") from error


def trust(context: ssl.SSLContext, authorities: Path) -> None:
    """The other side's certificate must be signed by one of these. CertificateError's detail is a code."""
    try:
        context.load_verify_locations(cafile=authorities)
    except (ssl.SSLError, OSError) as error:
        raise CertificateError("authorities_unreadable") from error
