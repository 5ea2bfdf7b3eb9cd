"""What makes a gateway unready, by alarms and by what supervisors tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.alarm import Alarm, AlarmCode
from gateway.domain.job import JobKind
from gateway.domain.readiness import SILENT_AFTER, UNREADY, Cause, Hindrance, SupervisorStory, from_alarms, hindrances_of_all

NOW = datetime(2026, 5, 1, tzinfo=UTC)
DOWN = Hindrance(cause=Cause.ROLE_DOWN, subject="worker")


def alarm(code: AlarmCode, subject: str) -> Alarm:
    return Alarm(code=code, subject=subject, reason="", raised_by="x", raised_at=NOW)


def story(*hindrances: Hindrance, seen: timedelta = timedelta(0), host: str = "a") -> SupervisorStory:
    return SupervisorStory(
        name=f"{host}:supervisor:1", host=host, roles=("worker",), config_hash="", started_at=NOW, seen_at=NOW - seen, hindrances=hindrances
    )


@pytest.mark.parametrize("code", list(AlarmCode))
def test_every_alarm_says_whether_it_makes_unready(code: AlarmCode) -> None:
    found = from_alarms([alarm(code, "a")], "a")
    cause = UNREADY[code]
    assert found == (() if cause is None else (Hindrance(cause=cause, subject="a"),))


def test_full_disk_of_another_host_is_its_own_matter_and_a_stalled_queue_everybodys() -> None:
    found = from_alarms([alarm(AlarmCode.DISK_LOW, "b"), alarm(AlarmCode.CRASH_LOOP, "b:worker"), alarm(AlarmCode.OLDEST_JOB, "x")], "a")
    assert [one.cause for one in found] == [Cause.STALLED_QUEUE]


@pytest.mark.parametrize("kind", list(JobKind))
def test_gateway_whose_deliveries_wait_is_ready_one_whose_analyses_or_reports_wait_is_not(kind: JobKind) -> None:
    waits_here = kind in (JobKind.ANALYZE_INSTANCE, JobKind.APPLY_CORRECTION, JobKind.REPORT_STUDY, JobKind.REJECT_REPORT)
    assert bool(from_alarms([alarm(AlarmCode.OLDEST_JOB, kind)], "a")) == waits_here


def test_installation_is_ready_when_every_supervisor_is() -> None:
    assert hindrances_of_all([story(), story(host="b")], NOW) == ()
    assert hindrances_of_all([story(), story(DOWN, host="b")], NOW) == (DOWN,)


def test_supervisor_that_tells_nothing_any_more_is_not_believed() -> None:
    (found,) = hindrances_of_all([story(seen=SILENT_AFTER + timedelta(seconds=1))], NOW)
    assert found == Hindrance(cause=Cause.SUPERVISOR_SILENT, subject="a")


def test_gateway_that_does_not_run_is_not_ready() -> None:
    assert [one.cause for one in hindrances_of_all([], NOW)] == [Cause.NO_SUPERVISOR]
