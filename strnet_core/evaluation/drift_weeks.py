"""Each device's weeks beside its own reference, from an export of knees. What is too small to say anything is shown and not tested."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from strnet_core.bundle import score
from strnet_core.errors import ExportTableError
from strnet_core.evaluation.drift import alarms, is_persistent, numbers_p, rate_limits, rate_p
from strnet_core.evaluation.site_export import SiteKnee

FLAGGED, REFUSED, SCORES = "flagged", "refused", "scores"
STREAMS = (FLAGGED, REFUSED, SCORES)
Device = tuple[str, str, str]
_QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftSettings:
    """How many weeks are looked at, what is large enough to be tested, and how many alarms may be false."""

    weeks: int = 8
    reference_until: date | None = None
    """The reference is all before this day; None: before the weeks that are looked at."""
    minimum: int = 20
    """Studies of a week."""
    minimum_reference: int = 100
    false_discoveries: float = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Studies:
    """Of one device in one time: each study with its largest logit, None where every knee of it was refused."""

    n: int
    flagged: int
    refused: int
    logits: tuple[float, ...]

    @property
    def assessed(self) -> int:
        return self.n - self.refused

    @property
    def score_quantiles(self) -> tuple[float, ...]:
        """At 0.1, 0.5 and 0.9, as scores 0..100."""
        return tuple(score(float(value)) for value in np.quantile(self.logits, _QUANTILES)) if self.logits else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceWeek:
    """monday: of the ISO week. p: by stream, empty where nothing was tested, and `untested` says why."""

    manufacturer: str
    model: str
    station: str
    monday: date
    studies: Studies
    reference: Studies
    flagged_limits: tuple[int, int] | None
    """Smallest and largest count of flagged studies that is no alarm, at three standard deviations."""
    p: Mapping[str, float]
    alarms: tuple[str, ...]
    untested: str

    @property
    def device(self) -> Device:
        return self.manufacturer, self.model, self.station


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """persistent: streams of devices that alarm in their last two tested weeks."""

    reference_until: date
    settings: DriftSettings
    without_date: int
    """Knees whose study has no date: they are in no week."""
    weeks: tuple[DeviceWeek, ...]
    persistent: tuple[tuple[str, str, str, str], ...]


@dataclass(frozen=True, slots=True)
class _Study:
    device: Device
    day: date
    flagged: bool
    logit: float | None


def drift(knees: Sequence[SiteKnee], settings: DriftSettings) -> Drift:
    """Of one bundle's knees. Raises ExportTableError where no study has a date."""
    studies = _studies(knees)
    if not studies:
        raise ExportTableError("no study has a date")
    first = _monday(max(study.day for study in studies)) - timedelta(weeks=settings.weeks - 1)
    until = settings.reference_until or first
    reference: dict[Device, list[_Study]] = defaultdict(list)
    current: dict[tuple[date, Device], list[_Study]] = defaultdict(list)
    for study in studies:
        if study.day < until:
            reference[study.device].append(study)
        if study.day >= max(first, until):
            current[_monday(study.day), study.device].append(study)
    weeks: list[DeviceWeek] = []
    for monday in sorted({monday for monday, _ in current}):
        of_week = {device: found for (day, device), found in current.items() if day == monday}
        weeks += _week(monday, {device: (_sum(found), _sum(reference[device])) for device, found in sorted(of_week.items())}, settings)
    return Drift(
        reference_until=until,
        settings=settings,
        without_date=sum(knee.study_date is None for knee in knees),
        weeks=tuple(weeks),
        persistent=_persistent(weeks),
    )


def _studies(knees: Sequence[SiteKnee]) -> list[_Study]:
    grouped: dict[tuple[str, Device, date], list[SiteKnee]] = defaultdict(list)
    for knee in knees:
        if knee.study_date is not None:
            grouped[knee.study, (knee.manufacturer, knee.model, knee.station), knee.study_date].append(knee)
    return [
        _Study(
            device,
            day,
            any(knee.is_flagged for knee in found),
            max((knee.logit for knee in found if knee.logit is not None), default=None),
        )
        for (_, device, day), found in grouped.items()
    ]


def _sum(studies: Sequence[_Study]) -> Studies:
    logits = tuple(study.logit for study in studies if study.logit is not None)
    return Studies(n=len(studies), flagged=sum(study.flagged for study in studies), refused=len(studies) - len(logits), logits=logits)


def _week(monday: date, found: Mapping[Device, tuple[Studies, Studies]], settings: DriftSettings) -> list[DeviceWeek]:
    """All devices of a week are corrected together."""
    why = {device: _too_small(current, reference, settings) for device, (current, reference) in found.items()}
    p = {device: {} if why[device] else _tests(*both) for device, both in found.items()}
    keys = {f"{number}:{stream}": (device, stream) for number, device in enumerate(found) for stream in p[device]}
    loud = {keys[name] for name in alarms({name: p[device][stream] for name, (device, stream) in keys.items()}, settings.false_discoveries)}
    return [
        DeviceWeek(
            manufacturer=device[0],
            model=device[1],
            station=device[2],
            monday=monday,
            studies=current,
            reference=reference,
            flagged_limits=None if why[device] else rate_limits(reference.flagged, reference.assessed, current.assessed),
            p=p[device],
            alarms=tuple(stream for stream in STREAMS if (device, stream) in loud),
            untested=why[device],
        )
        for device, (current, reference) in found.items()
    ]


def _too_small(current: Studies, reference: Studies, settings: DriftSettings) -> str:
    if reference.assessed < settings.minimum_reference:
        return f"reference of {reference.assessed} assessed studies"
    return "" if current.n >= settings.minimum else f"week of {current.n} studies"


def _tests(current: Studies, reference: Studies) -> dict[str, float]:
    found = {REFUSED: rate_p(reference.refused, reference.n, current.refused, current.n)}
    if current.assessed:
        found[FLAGGED] = rate_p(reference.flagged, reference.assessed, current.flagged, current.assessed)
        found[SCORES] = numbers_p(np.array(reference.logits), np.array(current.logits))
    return found


def _persistent(weeks: Sequence[DeviceWeek]) -> tuple[tuple[str, str, str, str], ...]:
    tested: dict[Device, list[DeviceWeek]] = defaultdict(list)
    for week in weeks:
        if not week.untested:
            tested[week.device].append(week)
    return tuple(
        (*device, stream)
        for device, found in sorted(tested.items())
        for stream in STREAMS
        if is_persistent([stream in week.alarms for week in found])
    )


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())
