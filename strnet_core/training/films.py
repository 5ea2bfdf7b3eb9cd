"""What the readers give: films with a label, and what is known of their patient."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Sex = Literal["F", "M"]

CLASSES = ("normal", "osteopenia", "osteoporosis")
"""Names of `label_cls` 0, 1 and 2."""
RANGES = {"age": (0.0, 130.0), "bmi": (5.0, 120.0), "t_score": (-15.0, 15.0)}
"""What can be true: years, kg/m2, standard deviations. Beyond it a table is wrong, and a header's value unknown."""
_SQUARE = 1.05


def is_possible(column: str, value: float) -> bool:
    """Whether a finite value lies in the range of its column."""
    low, high = RANGES[column]
    return low <= value <= high


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """One radiograph, with one knee or two."""

    name: str
    """Path below its data folder, with slashes; unique in a data set."""
    path: Path
    label: int
    """0 normal, 1 osteopenia, 2 osteoporosis."""
    patient_id: str = ""
    """Empty: unknown. Then nothing but duplicates ties the film to others."""
    t_score: float | None = None
    age_years: float | None = None
    sex: Sex | None = None
    bmi: float | None = None
    """kg/m2."""
    family: str = ""
    """Acquisition family as the table names it; empty: told by the film's format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A file or a knee that is not trained on, and why."""

    name: str
    reason: str
    """A code: `no_image`, `no_class`, `duplicate`, `contradictory`, a decode error's code, or the quality flags that refuse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a data folder gave."""

    films: tuple[Film, ...]
    left_out: tuple[LeftOut, ...]


def family_of(columns: int, rows: int) -> str:
    """The acquisition family of a film that nobody named: its format, `square` up to 5 % of the shorter side, `tall` or `wide`."""
    if max(columns, rows) <= _SQUARE * min(columns, rows):
        return "square"
    return "tall" if rows > columns else "wide"
