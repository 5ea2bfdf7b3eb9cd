"""config.toml -> settings. The only module that reads the environment."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gateway.config.destinations import DestinationSettings
from gateway.config.settings import Settings
from gateway.errors import ConfigurationError

_WHOLE = "config"
"""In place of a key, of what two keys say together."""


def load_settings(path: Path) -> Settings:
    """Reads a configuration file. Relative paths in it are relative to the file's folder.

    The database URL may come from `STRNET_GATEWAY_DATABASE_URL`, or from the file named by `STRNET_GATEWAY_DATABASE_URL_FILE`
    (a container secret), so that a password need not stand in the configuration. ConfigurationError names what is wrong.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}; --config names another file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}{_hint(str(error))}") from error
    url = _database_url_from_environment()
    if url is not None:
        document.setdefault("database", {})["url"] = url
    return _resolved(parse_settings(document), path.resolve().parent)


def parse_settings(document: Mapping[str, Any]) -> Settings:
    """Validates a parsed document. ConfigurationError lists every wrong key with its place."""
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        keys = [".".join(str(part) for part in problem["loc"]) or _WHOLE for problem in error.errors()]
        said = ["unknown key" if problem["type"] == "extra_forbidden" else _plain(problem["msg"]) for problem in error.errors()]
        problems = "; ".join(f"{key}: {text}" if key != _WHOLE else text for key, text in zip(keys, said, strict=True))
        raise ConfigurationError(problems, keys=keys) from error


def _plain(message: str) -> str:
    """What a validator of ours said, without pydantic's words before it."""
    return message.removeprefix("Value error, ")


def _hint(message: str) -> str:
    """The one mistake that TOML's own words do not explain: `peers = [...]` above and `[[peers]]` below."""
    return "; a list stands either on one line, name = [...], or in tables, [[name]], not both" if "immutable namespace" in message else ""


def _database_url_from_environment() -> str | None:
    url = os.environ.get("STRNET_GATEWAY_DATABASE_URL")
    file = os.environ.get("STRNET_GATEWAY_DATABASE_URL_FILE")
    if url is None and file is not None:
        try:
            url = Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigurationError(f"STRNET_GATEWAY_DATABASE_URL_FILE cannot be read: {error.strerror}") from error
    return url


def _resolved(settings: Settings, base: Path) -> Settings:
    url = settings.database.url
    prefix = "sqlite:///"
    if url.startswith(prefix) and not url.startswith(prefix + "/"):
        url = f"{prefix}{base / url.removeprefix(prefix)}"
    return settings.model_copy(
        update={
            "database": settings.database.model_copy(update={"url": url}),
            "spool": settings.spool.model_copy(update={"folder": base / settings.spool.folder}),
            "model": settings.model.model_copy(
                update={
                    "bundle": base / settings.model.bundle,
                    "other_bundles": tuple(base / folder for folder in settings.model.other_bundles),
                    "equivalence": base / settings.model.equivalence,
                }
            ),
            "tls": settings.tls.model_copy(
                update={name: base / getattr(settings.tls, name) for name in ("certificate", "key", "authorities")}
            ),
            "destinations": tuple(_resolved_destination(one, base) for one in settings.destinations),
        }
    )


def _resolved_destination(destination: DestinationSettings, base: Path) -> DestinationSettings:
    files = {name: value for name, value in destination if isinstance(value, Path)}
    return destination.model_copy(update={name: base / file for name, file in files.items()})
