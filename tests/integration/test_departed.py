"""Alarms end with their subject."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.domain.alarm import AlarmCode
from gateway.domain.readiness import FORGOTTEN_AFTER
from gateway.ops.departed import DepartedDestinations, DepartedHosts
from gateway.store.alarms import Alarms
from gateway.store.database import Database


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


def subjects(alarms: Alarms) -> list[str]:
    return sorted(alarm.subject for alarm in alarms.standing())


def test_alarms_of_a_host_end_when_nobody_has_told_of_it_for_long(database: Database) -> None:
    alarms, hosts, now = Alarms(database, "test"), ["here", "away"], [datetime(2026, 1, 1, tzinfo=UTC)]
    for code, subject in (("disk_low", "here"), ("disk_low", "away"), ("crash_loop", "away:sender"), ("oldest_job", "report_study")):
        alarms.raise_(AlarmCode(code), subject)
    watch = DepartedHosts(alarms=alarms, hosts=lambda: hosts, now=lambda: now[0])
    watch.look()
    hosts.remove("away")
    watch.look()
    now[0] += FORGOTTEN_AFTER / 2
    # a host that came back in between is missed anew
    hosts.append("away")
    watch.look()
    hosts.remove("away")
    watch.look()
    now[0] += FORGOTTEN_AFTER / 2
    watch.look()
    assert subjects(alarms) == ["away", "away:sender", "here", "report_study"]
    now[0] += FORGOTTEN_AFTER / 2
    watch.look()
    assert subjects(alarms) == ["here", "report_study"]


def test_alarm_of_a_destination_that_is_not_asked_any_more_ends(database: Database) -> None:
    alarms = Alarms(database, "test")
    for name in ("pacs", "former"):
        alarms.raise_(AlarmCode.DESTINATION_SILENT, name)
    alarms.raise_(AlarmCode.DISK_LOW, "former")
    DepartedDestinations(alarms=alarms, asked=frozenset({"pacs"}), configured=frozenset({"pacs"})).look()
    assert [(alarm.code, alarm.subject) for alarm in alarms.standing()] == [
        (AlarmCode.DESTINATION_SILENT, "pacs"),
        (AlarmCode.DISK_LOW, "former"),
    ]
