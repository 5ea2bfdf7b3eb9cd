"""config.toml -> frozen settings, and what may be served with them."""

from gateway.config.access import PeerSettings, TlsSettings
from gateway.config.destinations import DestinationSettings
from gateway.config.loading import load_settings, parse_settings
from gateway.config.quality import FlagSettings, QualitySettings
from gateway.config.safety import awaits_a_live_bundle, check_may_serve, destinations_above, destinations_for_live
from gateway.config.sections import (
    DeliverySettings,
    EligibilitySettings,
    Language,
    MetricsSettings,
    ModelSettings,
    ReceiverSettings,
    ResultSettings,
    RouteSettings,
    SpoolSettings,
    WorkerSettings,
)
from gateway.config.settings import Settings, without_password
from gateway.config.upkeep import AlarmSettings, ReconcileSettings, RetentionSettings

__all__ = [
    "AlarmSettings",
    "DeliverySettings",
    "DestinationSettings",
    "EligibilitySettings",
    "FlagSettings",
    "Language",
    "MetricsSettings",
    "ModelSettings",
    "PeerSettings",
    "QualitySettings",
    "ReceiverSettings",
    "ReconcileSettings",
    "ResultSettings",
    "RetentionSettings",
    "RouteSettings",
    "Settings",
    "SpoolSettings",
    "TlsSettings",
    "WorkerSettings",
    "awaits_a_live_bundle",
    "check_may_serve",
    "destinations_above",
    "destinations_for_live",
    "load_settings",
    "parse_settings",
    "without_password",
]
