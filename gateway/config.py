"""config.toml -> frozen settings. The only module that reads the environment; an unknown key is an error that names it."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from gateway.domain.outcome import Policy
from gateway.errors import ConfigurationError

AETitle = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[\x21-\x5b\x5d-\x7e]([\x20-\x5b\x5d-\x7e]*[\x21-\x5b\x5d-\x7e])?$")]
"""PS3.5 table 6.2-1: at most 16 characters of the default repertoire, no backslash, no control characters."""


Language = Literal["en", "zh"]
"""Of what a result says: English, or simplified Chinese."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DatabaseSettings(_Section):
    url: str = Field(default="sqlite:///var/strnet-gateway.db", repr=False)


class SpoolSettings(_Section):
    folder: Path = Path("var/spool")
    reserve_mb: int = Field(default=1024, ge=0)


class ReceiverSettings(_Section):
    host: str = "127.0.0.1"
    port: int = Field(default=11112, ge=0, le=65535)
    ae_title: AETitle = "STRNET"
    require_called_ae_title: bool = True
    max_associations: int = Field(default=20, ge=1)
    idle_seconds: float = Field(default=60, gt=0)


class PeerSettings(_Section):
    """A modality or PACS that may send."""

    name: str
    ae_title: AETitle
    addresses: tuple[str, ...] = ()

    @field_validator("addresses")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            ip_network(address, strict=False)
        return value

    def allows(self, address: str) -> bool:
        """No addresses = any address."""
        return not self.addresses or any(ip_address(address) in ip_network(network, strict=False) for network in self.addresses)


class RouteSettings(_Section):
    """One `[[routes]]` table. `when` is a condition tree, see docs/routing.md; absent = every instance."""

    name: str
    when: Mapping[str, Any] = Field(default_factory=dict)
    policy: Policy = Policy.SHADOW
    destinations: tuple[str, ...] = ()


class EligibilitySettings(_Section):
    min_age_years: int = Field(default=50, ge=0, le=150)
    views: tuple[Literal["AP", "PA"], ...] = ("AP",)
    knee_texts: tuple[str, ...] = ("knee", "knees", "genou", "knie", "膝")
    ap_texts: tuple[str, ...] = ("ap", "a.p.", "a-p", "a/p", "antero-posterior", "anteroposterior", "正位", "前后位")
    other_view_texts: tuple[str, ...] = (
        "lat",
        "lateral",
        "skyline",
        "merchant",
        "sunrise",
        "oblique",
        "pa",
        "rosenberg",
        "侧位",
        "斜位",
        "轴位",
    )


class FlagSettings(_Section):
    """What one quality flag does. It is raised when the measured value reaches the threshold; docs/quality.md has the units."""

    action: Literal["refuse", "warn", "ignore"]
    threshold: float = Field(allow_inf_nan=False)


def _refuse(threshold: float) -> FlagSettings:
    return FlagSettings(action="refuse", threshold=threshold)


def _warn(threshold: float) -> FlagSettings:
    return FlagSettings(action="warn", threshold=threshold)


class QualitySettings(_Section):
    """One table per flag. The order is that of the reasons: the first flag that refuses is the outcome."""

    blank: FlagSettings = _refuse(0.97)
    metal: FlagSettings = _refuse(0.1)
    not_a_knee: FlagSettings = _refuse(0.42)
    polarity_suspect: FlagSettings = _refuse(0.0)
    small_matrix: FlagSettings = _refuse(4.0)
    underexposed: FlagSettings = _refuse(0.8)
    overexposed: FlagSettings = _refuse(0.97)
    clipped: FlagSettings = _warn(0.05)
    crop_fallback: FlagSettings = _warn(1.0)
    lossy: FlagSettings = _warn(1.0)
    burned_in_text: FlagSettings = _warn(6.0)

    @model_validator(mode="before")
    @classmethod
    def _rest_of_a_flag_keeps_its_default(cls, value: Any) -> Any:
        """`metal = { action = "warn" }` leaves the threshold as it is shipped."""
        if not isinstance(value, Mapping):
            return value
        fields = cls.model_fields
        return {
            name: {**fields[name].default.model_dump(), **given} if name in fields and isinstance(given, Mapping) else given
            for name, given in value.items()
        }

    @property
    def flags(self) -> tuple[tuple[str, FlagSettings], ...]:
        """Every flag with its setting, in the order of the reasons."""
        return tuple((name, getattr(self, name)) for name in type(self).model_fields)


class ModelSettings(_Section):
    bundle: Path = Path("var/bundle")
    engine: Literal["auto", "torch", "openvino"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(default=0, ge=0)
    equivalence: Path = Path("var/equivalence")
    allow_cpu_fallback: bool = True


class WorkerSettings(_Section):
    lease_seconds: float = Field(default=120, gt=0)
    settle_seconds: float = Field(default=3, ge=0)
    poll_seconds: float = Field(default=0.1, gt=0)
    max_attempts: int = Field(default=5, ge=1)
    max_lease_expiries: int = Field(default=20, ge=1)
    retry_first_seconds: float = Field(default=5, gt=0)
    retry_max_seconds: float = Field(default=600, gt=0)
    decode_seconds: float = Field(default=60, gt=0)
    decode_memory_mb: int = Field(default=4096, ge=512)
    decode_images_per_child: int = Field(default=500, ge=1)
    max_rows: int = Field(default=8192, ge=1)
    max_columns: int = Field(default=8192, ge=1)


class ResultSettings(_Section):
    sr_class: Literal["comprehensive", "comprehensive_3d", "enhanced"] = "comprehensive"
    sr_series_number: int = Field(default=9901, ge=1)
    sc_series_number: int = Field(default=9902, ge=1)
    sc_modality: str = "OT"
    language: Language = "en"
    colormap: Literal["inferno", "jet"] = "inferno"
    show_severity: bool = False
    show_t_score: bool = False
    report_not_assessed: bool = False
    late_after_hours: float = Field(default=24, ge=0)
    timezone: str = "UTC"

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{value!r} is no IANA time zone, such as Asia/Shanghai") from error
        return value


class DestinationSettings(_Section):
    """A PACS that results go to."""

    name: str
    ae_title: AETitle
    host: str
    port: int = Field(ge=1, le=65535)
    calling_ae_title: AETitle = "STRNET"
    destination_class: Literal["test", "research", "clinical"] = Field(alias="class")


class DeliverySettings(_Section):
    connect_seconds: float = Field(default=10, gt=0)
    response_seconds: float = Field(default=30, gt=0)
    retry_first_seconds: float = Field(default=60, gt=0)
    retry_max_seconds: float = Field(default=3600, gt=0)
    retry_for_days: float = Field(default=7, gt=0)


class ServeSettings(_Section):
    development: bool = False
    grace_seconds: float = Field(default=30, gt=0)
    restart_first_seconds: float = Field(default=0.5, gt=0)
    restart_max_seconds: float = Field(default=30, gt=0)


class LoggingSettings(_Section):
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(_Section):
    """The whole configuration. Built once, passed in, never changed."""

    serve: ServeSettings = ServeSettings()
    logging: LoggingSettings = LoggingSettings()
    database: DatabaseSettings = DatabaseSettings()
    spool: SpoolSettings = SpoolSettings()
    receiver: ReceiverSettings = ReceiverSettings()
    peers: tuple[PeerSettings, ...] = ()
    routes: tuple[RouteSettings, ...] = (RouteSettings(name="default"),)
    eligibility: EligibilitySettings = EligibilitySettings()
    quality: QualitySettings = QualitySettings()
    model: ModelSettings = ModelSettings()
    worker: WorkerSettings = WorkerSettings()
    results: ResultSettings = ResultSettings()
    destinations: tuple[DestinationSettings, ...] = ()
    delivery: DeliverySettings = DeliverySettings()

    @model_validator(mode="after")
    def _names_exist_once(self) -> Settings:
        for what, names in (
            ("routes", [route.name for route in self.routes]),
            ("destinations", [destination.name for destination in self.destinations]),
            ("peers", [peer.name for peer in self.peers]),
        ):
            if len(set(names)) != len(names):
                raise ValueError(f"{what}: a name stands there twice")
        known = {destination.name for destination in self.destinations}
        for route in self.routes:
            for name in route.destinations:
                if name not in known:
                    raise ValueError(f"routes.{route.name}.destinations names {name!r}, which no [[destinations]] table has")
        return self

    def destination(self, name: str) -> DestinationSettings | None:
        return next((destination for destination in self.destinations if destination.name == name), None)

    def route(self, name: str) -> RouteSettings | None:
        return next((route for route in self.routes if route.name == name), None)

    @property
    def shaping_hash(self) -> str:
        """SHA-256 over what shapes a result (eligibility, quality, wording, SR class); not peers, destinations, logging, engine."""
        results = self.results.model_dump(mode="json", exclude={"late_after_hours"})
        shaping = {name: getattr(self, name).model_dump(mode="json") for name in ("eligibility", "quality")}
        return _digest({**shaping, "results": results})

    @property
    def config_hash(self) -> str:
        """SHA-256 over everything but secrets."""
        shown = self.model_dump(mode="json", by_alias=True)
        shown["database"]["url"] = without_password(self.database.url)
        return _digest(shown)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def without_password(url: str) -> str:
    """A database URL with its password masked, fit for showing."""
    head, separator, tail = url.partition("@")
    if not separator or ":" not in head.removeprefix(f"{head.split('://')[0]}://"):
        return url
    return f"{head.rpartition(':')[0]}:***@{tail}"


def load_settings(path: Path) -> Settings:
    """Reads a configuration file. Relative paths in it are relative to the file's folder.

    The database URL may come from `STRNET_GATEWAY_DATABASE_URL`, or from the file named by `STRNET_GATEWAY_DATABASE_URL_FILE`
    (a container secret), so that a password need not stand in the configuration. ConfigurationError names what is wrong.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from error
    url = _database_url_from_environment()
    if url is not None:
        document.setdefault("database", {})["url"] = url
    return _resolved(parse_settings(document), path.resolve().parent)


def parse_settings(document: Mapping[str, Any]) -> Settings:
    """Validates a parsed document. ConfigurationError lists every wrong key with its place."""
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'config'}: "
            + ("unknown key" if problem["type"] == "extra_forbidden" else problem["msg"])
            for problem in error.errors()
        )
        raise ConfigurationError(problems) from error


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
                update={"bundle": base / settings.model.bundle, "equivalence": base / settings.model.equivalence}
            ),
        }
    )


_CLASS_RANK = {"test": 0, "research": 1, "clinical": 2}
_USE_RANK = {"demonstration": 0, "research": 1, "clinical": 2}


def check_may_serve(settings: Settings) -> None:
    """Refuses a set-up that nobody meant for a hospital. ConfigurationError says the remedy."""
    loopback = settings.receiver.host == "localhost" or _is_loopback(settings.receiver.host)
    if settings.serve.development and not loopback:
        raise ConfigurationError("serve.development = true is for 127.0.0.1 only; remove that line and list your senders as [[peers]]")
    if not settings.serve.development and not settings.peers:
        raise ConfigurationError("no [[peers]]: list the AE titles that may send, or set serve.development = true on 127.0.0.1")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def destinations_above(settings: Settings, intended_use: str) -> tuple[str, ...]:
    """Names of the destinations whose class is above a bundle's intended use."""
    rank = _USE_RANK[intended_use]
    return tuple(d.name for d in settings.destinations if _CLASS_RANK[d.destination_class] > rank)
