"""The one time of a result, as DICOM writes it: from a row, never from the clock, so that a rebuild gives the same bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from pydicom.dataset import Dataset

_OFFSET = re.compile(r"([+-])(\d{2})(\d{2})")
_MINUTES = 60
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
