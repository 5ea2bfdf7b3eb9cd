"""One value per section of config.toml, with its defaults. Frozen; an unknown key is an error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from gateway.config.access import AETitle
from gateway.config.section import Section
from gateway.domain.outcome import Policy

Language = Literal["en", "zh"]
"""Of what a result says: English, or simplified Chinese."""


class DatabaseSettings(Section):
    url: str = Field(default="sqlite:///var/strnet-gateway.db", repr=False)
    vouched_file_system: str = ""


class SpoolSettings(Section):
    folder: Path = Path("var/spool")
    vouched_file_system: str = ""
    reserve_mb: int = Field(default=1024, ge=0)
    resume_margin_mb: int = Field(default=256, ge=0)


class ReceiverSettings(Section):
    host: str = "127.0.0.1"
    port: int = Field(default=11112, ge=0, le=65535)
    ae_title: AETitle = "STRNET"
    require_called_ae_title: bool = True
    processes: int = Field(default=1, ge=1, le=64)
    max_associations: int = Field(default=20, ge=1)
    idle_seconds: float = Field(default=60, gt=0)
    max_connections: int = Field(default=128, ge=1)
    max_connections_per_address: int = Field(default=64, ge=1)
    pdu_seconds: float = Field(default=15, gt=0)
    message_seconds: float = Field(default=600, gt=0)
    max_pdu_kb: int = Field(default=128, ge=16, le=1024)
    max_message_mb: int = Field(default=256, ge=1, le=2048)
    memory_mb: int = Field(default=768, ge=2)
    self_check_seconds: float = Field(default=10, ge=0)

    @model_validator(mode="after")
    def _limits_fit_each_other(self) -> ReceiverSettings:
        if self.memory_mb < 2 * self.max_message_mb:
            raise ValueError("receiver.memory_mb must be at least twice receiver.max_message_mb")
        if 2 * self.memory_mb < 3 * self.max_message_mb * self.processes:
            raise ValueError("receiver.memory_mb must be at least 1.5 times receiver.max_message_mb for each of receiver.processes")
        if self.max_connections < self.max_associations:
            raise ValueError("receiver.max_connections must not be below receiver.max_associations")
        return self


class RouteSettings(Section):
    """One `[[routes]]` table. `when` is a condition tree, see docs/routing.md; absent = every instance."""

    name: str
    when: Mapping[str, Any] = Field(default_factory=dict)
    policy: Policy = Policy.SHADOW
    destinations: tuple[str, ...] = ()


class EligibilitySettings(Section):
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


class ModelSettings(Section):
    bundle: Path = Path("var/bundle")
    other_bundles: tuple[Path, ...] = ()
    engine: Literal["auto", "torch", "openvino"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(default=0, ge=0)
    equivalence: Path = Path("var/equivalence")
    allow_cpu_fallback: bool = True


class WorkerSettings(Section):
    lease_seconds: float = Field(default=120, gt=0)
    settle_seconds: float = Field(default=3, ge=0)
    poll_seconds: float = Field(default=0.1, gt=0)
    batch_size: int = Field(default=8, ge=1, le=64)
    max_attempts: int = Field(default=5, ge=1)
    max_lease_expiries: int = Field(default=20, ge=1)
    retry_first_seconds: float = Field(default=5, gt=0)
    retry_max_seconds: float = Field(default=600, gt=0)
    decode_seconds: float = Field(default=60, gt=0)
    decode_memory_mb: int = Field(default=4096, ge=512)
    decode_images_per_child: int = Field(default=500, ge=1)
    max_rows: int = Field(default=8192, ge=1)
    max_columns: int = Field(default=8192, ge=1)
    self_test_hours: float = Field(default=24, ge=0)


class ResultSettings(Section):
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
    repeat_days: int = Field(default=0, ge=0, le=3650)
    timezone: str = "UTC"

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{value!r} is no IANA time zone, such as Asia/Shanghai") from error
        return value


class DeliverySettings(Section):
    connect_seconds: float = Field(default=10, gt=0)
    response_seconds: float = Field(default=30, gt=0)
    message_seconds: float = Field(default=90, gt=0)
    reuse_seconds: float = Field(default=5, ge=0)
    confirm_after_seconds: float = Field(default=300, gt=0)
    retry_first_seconds: float = Field(default=60, gt=0)
    retry_max_seconds: float = Field(default=3600, gt=0)
    retry_for_days: float = Field(default=7, gt=0)


class ServeSettings(Section):
    development: bool = False
    grace_seconds: float = Field(default=30, gt=0)
    restart_first_seconds: float = Field(default=0.5, gt=0)
    restart_max_seconds: float = Field(default=30, gt=0)
    crash_loop_deaths: int = Field(default=5, ge=2)
    crash_loop_seconds: float = Field(default=120, gt=0)


class LoggingSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"


class MetricsSettings(Section):
    """Prometheus' text format over HTTP, served by the supervisor. port 0 = off."""

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
