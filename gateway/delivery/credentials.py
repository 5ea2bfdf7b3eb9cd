"""Who we are towards a DICOMweb service: a bearer token (RFC 6750) or basic authentication (RFC 7617), from files."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

from gateway.config import DestinationSettings
from gateway.errors import CredentialsError, DestinationFilesError


def authorization(destination: DestinationSettings) -> Mapping[str, str]:
    """The header, empty where nothing is configured. DestinationFilesError names the key whose file cannot be used, never its content."""
    if destination.token_file is not None:
        return {"Authorization": f"Bearer {_secret(destination, 'token_file', destination.token_file, may_hold_spaces=False)}"}
    if destination.password_file is not None:
        password = _secret(destination, "password_file", destination.password_file, may_hold_spaces=True)
        return {"Authorization": f"Basic {base64.b64encode(f'{destination.user}:{password}'.encode()).decode()}"}
    return {}


def authorization_of_attempt(destination: DestinationSettings) -> Mapping[str, str]:
    """CredentialsError: for now; the files may be right at the next attempt."""
    try:
        return authorization(destination)
    except DestinationFilesError as error:
        raise CredentialsError(error.detail) from None


def _secret(destination: DestinationSettings, key: str, file: Path, *, may_hold_spaces: bool) -> str:
    place = f"destinations.{destination.name}.{key}"
    try:
        found = file.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise DestinationFilesError(f"{place}: cannot be read, {type(error).__name__}") from None
    if not found:
        raise DestinationFilesError(f"{place}: empty")
    if not found.isprintable() or (not may_hold_spaces and (" " in found or not found.isascii())):
        raise DestinationFilesError(f"{place}: not one line of text, or what no token may hold")
    return found
