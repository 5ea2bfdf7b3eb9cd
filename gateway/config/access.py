"""Who may speak: the peers, and TLS with their certificates."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, field_validator

from gateway.config.section import Section

AE_TITLE: Final = r"[\x21-\x5b\x5d-\x7e]([\x20-\x5b\x5d-\x7e]*[\x21-\x5b\x5d-\x7e])?"
AETitle = Annotated[str, Field(min_length=1, max_length=16, pattern=rf"^{AE_TITLE}$")]
"""PS3.5 table 6.2-1: at most 16 characters of the default repertoire, no backslash, no control characters."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_NAMES: Final = ("dns", "uri", "cn")


class PeerSettings(Section):
    """A modality or PACS that may send."""

    name: str = Field(min_length=1, max_length=64)
    ae_title: AETitle
    addresses: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    max_associations: int = Field(default=0, ge=0)

    @field_validator("addresses")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            ip_network(address, strict=False)
        return value

    @field_validator("certificates")
    @classmethod
    def _identities(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_certificate_identity(entry) for entry in value)

    def allows(self, address: str) -> bool:
        """No addresses = any address. An IPv4 address that came through an IPv6 socket counts as IPv4."""
        if not self.addresses:
            return True
        try:
            found = ip_address(address)
        except ValueError:
            return False
        plain = (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found
        return any(plain in ip_network(network, strict=False) for network in self.addresses)


def _certificate_identity(entry: str) -> str:
    """`sha256:<hex>`, `dns:<name>`, `uri:<name>` or `cn:<name>`, in the form in which certificates are compared."""
    kind, _, value = entry.partition(":")
    kind = kind.strip().lower()
    if kind == "sha256":
        digest = value.replace(":", "").strip().lower()
        if _SHA256.fullmatch(digest):
            return f"sha256:{digest}"
    elif kind in _NAMES and value.strip():
        return f"{kind}:{value.strip().lower() if kind == 'dns' else value.strip()}"
    raise ValueError(f"{entry!r} is no certificate identity; write sha256:<64 hex digits>, dns:<name>, uri:<name> or cn:<name>")


class TlsSettings(Section):
    """PS3.15 B.12. required: the port speaks TLS only, and every sender shows a certificate of one of the authorities."""

    required: bool = False
    certificate: Path = Path("var/tls/certificate.pem")
    key: Path = Path("var/tls/key.pem")
    authorities: Path = Path("var/tls/authorities.pem")
