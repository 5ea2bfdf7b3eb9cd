"""The gateway itself under `strnet-gateway check`: does it run, ready, and by the configuration that was asked about?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from gateway.config import Settings
from gateway.domain.check import Line, bad, good
from gateway.domain.readiness import SupervisorStory, hindrances_of_all

_SUBJECT = "gateway"


def gateway_lines(settings: Settings, supervisors: Sequence[SupervisorStory], now: datetime, *, config: Path) -> Iterator[Line]:
    """supervisors: what each last told of itself. config: the file that the settings are from."""
    if not supervisors:
        yield bad(_SUBJECT, "running", "not_running", "no supervisor runs on this database", config=str(config))
        return
    hindrances = hindrances_of_all(supervisors, now)
    if hindrances:
        yield bad(_SUBJECT, "ready", "not_ready", ", ".join(str(one) for one in hindrances))
    else:
        yield good(_SUBJECT, "ready", ", ".join(f"{one.host}: {', '.join(one.roles)}" for one in supervisors))
    others = sorted({one.host for one in supervisors if one.config_hash != settings.config_hash})
    if others:
        yield bad(_SUBJECT, "configuration", "other_configuration", f"on {', '.join(others)}")
    else:
        yield good(_SUBJECT, "configuration", f"in use: {settings.config_hash[:12]}")
