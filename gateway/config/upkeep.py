"""What is kept for how long, and when an alarm is raised."""

from __future__ import annotations

from pydantic import Field

from gateway.config.section import Section


class RetentionSettings(Section):
    """Days; 0 keeps for ever. Nothing that is open, held, undelivered or in conflict goes, however old."""

    images_days: float = Field(default=0, ge=0)
    results_days: float = Field(default=0, ge=0)
    jobs_days: float = Field(default=0, ge=0)


class AlarmSettings(Section):
    oldest_job_minutes: float = Field(default=60, ge=0)
    echo_seconds: float = Field(default=60, ge=0)
