"""Self-signed certificates by openssl, for tests alone."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest


def make(folder: Path, name: str) -> tuple[Path, Path]:
    """(certificate, key) with that common name, on an elliptic curve: quick to make."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        f"/CN={name}",
    ]
    subprocess.run([*command, "-out", str(certificate), "-keyout", str(key)], check=True, capture_output=True, timeout=60)
    return certificate, key


def server_context(own: tuple[Path, Path], *, trusts: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*own)
    if trusts is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(trusts)
    return context


def client_context(own: tuple[Path, Path] | None, *, trusts: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(trusts)
    if own is not None:
        context.load_cert_chain(*own)
    return context
