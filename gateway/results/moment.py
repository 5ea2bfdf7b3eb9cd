"""The one time of a result, as DICOM writes it: from a row, never from the clock, so that a rebuild gives the same bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from pydicom.dataset import Dataset

from gateway.dicom.characters import text

_OFFSET = re.compile(r"([+-])(\d{2})(\d{2})")
_MINUTES = 60
_DAYS_END = "235959"
_CLOCKS = (2, 4, 6)
"""PS3.5 6.2 TM: hours, hours and minutes, or all three."""
_EARLIEST, _LATEST = timedelta(hours=-12), timedelta(hours=14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """DA, TM, DT and the offset from UTC they are told in (PS3.5 6.2, PS3.3 C.12.1.1.8)."""

    date: str
    time: str
    offset: str

    @property
    def date_time(self) -> str:
        return f"{self.date}{self.time}{self.offset}"

    @property
    def for_reading(self) -> str:
        day = f"{self.date[:4]}-{self.date[4:6]}-{self.date[6:]}"
        return f"{day} {self.time[:2]}:{self.time[2:4]} (UTC{self.offset[:3]}:{self.offset[3:]})"


def latest_study_time(source: Dataset, zone: str) -> datetime | None:
    """The latest moment that StudyDate and StudyTime can mean, in the source's own offset when it has one, else in `zone`.

    Without a time of day that is the day's end, and without minutes the hour's: too early a moment would withhold a result as late.
    None without a date.
    """
    day, clock = text(source, "StudyDate"), text(source, "StudyTime").partition(".")[0]
    given = clock if len(clock) in _CLOCKS and clock.isdigit() else ""
    try:
        local = datetime.strptime(day + given + _DAYS_END[len(given) :], "%Y%m%d%H%M%S")  # noqa: DTZ007  its zone follows
    except ValueError:
        return None
    return local.replace(tzinfo=_source_zone(source) or ZoneInfo(zone))


def moment_of(started_at: datetime, *, zone: str, source: Dataset) -> Moment:
    """`started_at` in the source's own offset from UTC when it has one, else in `zone` (an IANA name)."""
    if started_at.tzinfo is None:
        raise ValueError("started_at must be an aware time")
    local = started_at.astimezone(_source_zone(source) or ZoneInfo(zone))
    return Moment(date=local.strftime("%Y%m%d"), time=local.strftime("%H%M%S.%f"), offset=local.strftime("%z")[:5])


def _source_zone(source: Dataset) -> timezone | None:
    match = _OFFSET.fullmatch(str(source.get("TimezoneOffsetFromUTC", "")).strip())
    if match is None:
        return None
    sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
    # PS3.3 C.12.1.1.8: -1200 to +1400, and -0000 is not allowed
    usable = _EARLIEST <= offset <= _LATEST and int(minutes) < _MINUTES
    return timezone(offset) if usable else None
