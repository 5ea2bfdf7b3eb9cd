"""The whole configuration as one frozen value, and its hashes."""

from __future__ import annotations

import hashlib
import json

from pydantic import model_validator

from gateway.config.access import PeerSettings, TlsSettings
from gateway.config.destinations import DestinationSettings
from gateway.config.quality import QualitySettings
from gateway.config.section import Section
from gateway.config.sections import (
    DatabaseSettings,
    DeliverySettings,
    EligibilitySettings,
    LoggingSettings,
    MetricsSettings,
    ModelSettings,
    ReceiverSettings,
    ResultSettings,
    RouteSettings,
    ServeSettings,
    SpoolSettings,
    WorkerSettings,
)
from gateway.config.upkeep import AlarmSettings, ReconcileSettings, RetentionSettings


class Settings(Section):
    """The whole configuration. Built once, passed in, never changed."""

    serve: ServeSettings = ServeSettings()
    logging: LoggingSettings = LoggingSettings()
    database: DatabaseSettings = DatabaseSettings()
    spool: SpoolSettings = SpoolSettings()
    receiver: ReceiverSettings = ReceiverSettings()
    tls: TlsSettings = TlsSettings()
    peers: tuple[PeerSettings, ...] = ()
    routes: tuple[RouteSettings, ...] = (RouteSettings(name="default"),)
    eligibility: EligibilitySettings = EligibilitySettings()
    quality: QualitySettings = QualitySettings()
    model: ModelSettings = ModelSettings()
    worker: WorkerSettings = WorkerSettings()
    results: ResultSettings = ResultSettings()
    destinations: tuple[DestinationSettings, ...] = ()
    delivery: DeliverySettings = DeliverySettings()
    metrics: MetricsSettings = MetricsSettings()
    alarms: AlarmSettings = AlarmSettings()
    retention: RetentionSettings = RetentionSettings()
    reconcile: ReconcileSettings = ReconcileSettings()

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
        for name in self.reconcile.destinations:
            if name not in known:
                raise ValueError(f"reconcile.destinations names {name!r}, which no [[destinations]] table has")
            if any(one.name == name and one.protocol != "dimse" for one in self.destinations):
                raise ValueError(f"reconcile.destinations names {name!r}, which is spoken to by DICOMweb: it cannot be asked by C-FIND")
        return self

    @model_validator(mode="after")
    def _objects_are_sent_within_a_lease(self) -> Settings:
        if self.delivery.message_seconds >= self.worker.lease_seconds:
            raise ValueError("delivery.message_seconds: must be below worker.lease_seconds, or nothing large could be sent within a lease")
        return self

    @model_validator(mode="after")
    def _peers_name_routes_that_exist(self) -> Settings:
        known = {route.name for route in self.routes}
        for peer in self.peers:
            for name in peer.routes:
                if name not in known:
                    raise ValueError(f"peers.{peer.name}.routes names {name!r}, which no [[routes]] table has")
        return self

    def destination(self, name: str) -> DestinationSettings | None:
        return next((destination for destination in self.destinations if destination.name == name), None)

    def route(self, name: str) -> RouteSettings | None:
        return next((route for route in self.routes if route.name == name), None)

    @property
    def shaping_hash(self) -> str:
        """SHA-256 over what shapes a result (eligibility, quality, wording, SR class); not peers, destinations, logging, engine."""
        results = self.results.model_dump(mode="json", exclude={"late_after_hours", "repeat_days"})
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
