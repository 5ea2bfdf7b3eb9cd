"""What is kept for how long, and when an alarm is raised."""

from __future__ import annotations

from datetime import time

from pydantic import Field, field_validator

from gateway.config.section import Section


class RetentionSettings(Section):
    """Days; 0 keeps for ever. Nothing that is open, held, undelivered or in conflict goes, however old."""

    images_days: float = Field(default=0, ge=0)
    results_days: float = Field(default=0, ge=0)
    jobs_days: float = Field(default=0, ge=0)


class AlarmSettings(Section):
    oldest_job_minutes: float = Field(default=60, ge=0)
    echo_seconds: float = Field(default=60, ge=0)


class ReconcileSettings(Section):
    """The nightly comparison with each PACS. destinations: by name; empty = every one that answers C-FIND."""

    at: time | None = time(2, 30)
    days: int = Field(default=2, ge=0, le=60)
    destinations: tuple[str, ...] = ()

    @field_validator("at", mode="before")
    @classmethod
    def _hour_or_never(cls, value: object) -> object:
        return None if value == "" else value
