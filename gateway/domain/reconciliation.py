"""What a PACS holds against what the gateway knows: values, and what counts as a knee. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

_PLAIN: Final = frozenset({"CR", "DX"})
_KNEE: Final = "KNEE"
_WORDS: Final = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Days of study dates, both included."""

    first: date
    last: date

    def days(self) -> tuple[date, ...]:
        return tuple(self.first + timedelta(days=number) for number in range((self.last - self.first).days + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenStudy:
    """A study in a C-FIND answer. modalities: empty where the peer does not tell them."""

    study_instance_uid: str
    modalities: tuple[str, ...]

    @property
    def may_be_plain(self) -> bool:
        return not self.modalities or not _PLAIN.isdisjoint(self.modalities)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenSeries:
    """A series in a C-FIND answer, and what tells of a knee."""

    study_instance_uid: str
    series_instance_uid: str
    modality: str
    body_part: str
    description: str


def is_knee_series(series: SeenSeries, knee_texts: Iterable[str]) -> bool:
    """A plain radiograph that names the knee: by body part, or, where that is empty, by a word of its description."""
    if series.modality not in _PLAIN:
        return False
    if series.body_part:
        return _KNEE in series.body_part.upper()
    text = series.description.lower()
    words = set(_WORDS.findall(text))
    # a word of a script without spaces stands anywhere in the text
    return any(known.lower() in words or (not known.isascii() and known in text) for known in knee_texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotReceived:
    """A knee series of the PACS with instances that never came here."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SentResult:
    """A result that a destination said it has."""

    delivery_id: str
    result_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What came of asking one destination.

    complete: False where a limit ended it: then there are at least so many. code: why it could not be asked to the end, or None.
    """

    destination: str
    period: Period
    studies: int
    """Of plain radiographs, that were looked at."""
    knee_series: int
    results: int
    """That were asked for."""
    not_received: tuple[NotReceived, ...]
    not_found: tuple[SentResult, ...]
    complete: bool
    code: str | None = None

    @property
    def is_good(self) -> bool:
        return self.code is None and not self.not_received and not self.not_found
