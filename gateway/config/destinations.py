"""Where results go, by which protocol, and how each side proves who it is."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, field_validator, model_validator

from gateway.config.access import AE_TITLE, AETitle
from gateway.config.section import Section

_OF_PROTOCOL: Final = {
    "dimse": ("ae_title", "host", "port", "calling_ae_title", "tls"),
    "stow_rs": ("url", "token_file", "user", "password_file"),
}
"""Keys that only one of the protocols knows."""
_NEEDED: Final = {"dimse": ("ae_title", "host", "port"), "stow_rs": ("url",)}
_TLS: Final = ("tls_authorities", "tls_certificate", "tls_key", "tls_name")


class DestinationSettings(Section):
    """A PACS that results go to, by DIMSE (C-STORE) or by DICOMweb (STOW-RS)."""

    name: str
    protocol: Literal["dimse", "stow_rs"] = "dimse"
    ae_title: Annotated[str, Field(max_length=16, pattern=rf"^({AE_TITLE})?$")] = ""
    host: str = ""
    port: int = Field(default=0, ge=0, le=65535)
    calling_ae_title: AETitle = "STRNET"
    url: str = ""
    token_file: Path | None = None
    user: str = ""
    password_file: Path | None = None
    tls: bool = False
    tls_authorities: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_name: str = ""
    destination_class: Literal["test", "research", "clinical"] = Field(alias="class")
    max_associations: int = Field(default=1, ge=1, le=16)
    breaker_failures: int = Field(default=3, ge=1)
    breaker_seconds: float = Field(default=60, gt=0)
    commitment: Literal["none", "storage_commitment", "find"] = "none"
    honours_rejection: Literal["unknown", "yes", "no"] = "unknown"

    @property
    def address(self) -> tuple[str, int]:
        """Host and TCP port."""
        if self.protocol == "dimse":
            return self.host, self.port
        found = urlsplit(self.url)
        return found.hostname or "", found.port or (443 if self.uses_tls else 80)

    @property
    def uses_tls(self) -> bool:
        return self.tls or urlsplit(self.url).scheme == "https"

    @property
    def peer_name(self) -> str:
        """That its certificate must bear."""
        return self.tls_name or self.address[0]

    @field_validator("url")
    @classmethod
    def _base_url(cls, value: str) -> str:
        """What is wrong is said without the value: a password may stand in it."""
        found = _split(value)
        if found.username is not None or found.password is not None:
            raise ValueError("a user or password in the URL would be shown and logged; set user and password_file, or token_file")
        if value and (found.scheme not in ("http", "https") or not found.hostname):
            raise ValueError("must be http://host[:port]/path or https://host[:port]/path, the base of the DICOMweb service")
        if found.query or found.fragment or not value.isascii() or not value.isprintable() or " " in value:
            raise ValueError("must be the base of the DICOMweb service alone, without a query, fragment or space")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _keys_fit_the_protocol(self) -> DestinationSettings:
        missing = [key for key in _NEEDED[self.protocol] if not getattr(self, key)]
        if missing:
            raise ValueError(f"protocol {self.protocol!r} needs {', '.join(missing)}")
        for protocol, keys in _OF_PROTOCOL.items():
            strange = [key for key in keys if protocol != self.protocol and getattr(self, key) != type(self).model_fields[key].default]
            if strange:
                raise ValueError(f"{', '.join(strange)}: only with protocol {protocol!r}")
        if self.protocol == "stow_rs" and self.commitment == "storage_commitment":
            raise ValueError('storage commitment is a DIMSE service; confirm protocol "stow_rs" by commitment = "find" (QIDO-RS) or "none"')
        return self

    @model_validator(mode="after")
    def _tls_is_whole(self) -> DestinationSettings:
        given = [key for key in _TLS if getattr(self, key)]
        if given and not self.uses_tls:
            raise ValueError(f"{', '.join(given)}: TLS is off; set tls = true, or with protocol 'stow_rs' an https:// url")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together")
        return self

    @model_validator(mode="after")
    def _credentials_stay_secret(self) -> DestinationSettings:
        if bool(self.user) != (self.password_file is not None):
            raise ValueError("user and password_file belong together")
        if self.user and self.token_file is not None:
            raise ValueError("either token_file, or user and password_file")
        if ":" in self.user or not self.user.isprintable():
            raise ValueError("user: no colon and no control characters (RFC 7617)")
        if (self.user or self.token_file is not None) and not self.uses_tls and not _is_loopback(self.address[0]):
            raise ValueError("token_file and password_file go over https:// only; http:// would send them readable")
        return self


def _split(url: str) -> SplitResult:
    try:
        found = urlsplit(url)
        _ = found.port
    except ValueError:
        raise ValueError("is no URL") from None
    return found


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
