"""Alarms stand once, whoever sees their cause, and are audited when they begin and end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select

from gateway.domain.alarm import AlarmCode
from gateway.events import Event
from gateway.store.alarms import Alarms
from gateway.store.database import Database
from gateway.store.figures import read_figures
from gateway.store.tables import AuditEventRow


def audited(database: Database) -> list[tuple[str, str, str | None]]:
    with database.reading() as session:
        rows = session.scalars(select(AuditEventRow).order_by(AuditEventRow.seq))
        return [(row.event, row.detail["subject"], row.detail.get("reason")) for row in rows]


def test_alarm_is_audited_when_it_begins_and_ends_and_not_between(database: Database) -> None:
    alarms = Alarms(database, "test")
    for reason in ("no_space", "no_space", "unreachable"):
        alarms.set(AlarmCode.DISK_LOW, "host-a", stands=True, reason=reason)
    assert [(alarm.code, alarm.subject, alarm.reason) for alarm in alarms.standing()] == [(AlarmCode.DISK_LOW, "host-a", "no_space")]
    for _ in range(2):
        alarms.set(AlarmCode.DISK_LOW, "host-a", stands=False)
    assert alarms.standing() == ()
    assert audited(database) == [(Event.ALARM_RAISED, "host-a", "no_space"), (Event.ALARM_CLEARED, "host-a", None)]


def test_alarm_of_one_subject_says_nothing_of_another(database: Database) -> None:
    alarms = Alarms(database, "test")
    assert alarms.raise_(AlarmCode.DESTINATION_SILENT, "pacs")
    assert alarms.raise_(AlarmCode.DESTINATION_SILENT, "archive")
    assert alarms.clear(AlarmCode.DESTINATION_SILENT, "pacs")
    assert [alarm.subject for alarm in alarms.standing()] == ["archive"]
    assert read_figures(database).alarms == (((AlarmCode.DESTINATION_SILENT, "archive"), 1),)


def test_alarm_that_several_see_at_once_is_raised_and_cleared_once(database: Database) -> None:
    books = [Alarms(database, f"host-{number}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        raised = list(pool.map(lambda book: book.raise_(AlarmCode.OLDEST_JOB, "deliver_result"), books))
        cleared = list(pool.map(lambda book: book.clear(AlarmCode.OLDEST_JOB, "deliver_result"), books))
    assert (raised.count(True), cleared.count(True)) == (1, 1)
    assert [event for event, _, _ in audited(database)] == [Event.ALARM_RAISED, Event.ALARM_CLEARED]
