"""A fault, and what one run of it showed. The table in docs/faults.md is made of these values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.workplace import Workplace


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that was looked at: what it is, what it must be and what it was.

    seen and expected stand in a table that every run must write alike: categories and exact counts, no times, ports or ids.
    """

    what: str
    seen: object
    expected: object

    @property
    def holds(self) -> bool:
        return self.seen == self.expected

    def __str__(self) -> str:
        return f"{self.what}: {_words(self.seen)}" if self.holds else f"**{self.what}: {_words(self.seen)}, not {_words(self.expected)}**"


Scenario = Callable[["Workplace"], Iterator[Point]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """number: as in the list of faults that the project keeps. needs: what the machine must offer, see needs.py."""

    number: int
    what: str
    expected: str
    how: str
    scenario: Scenario
    needs: tuple[str, ...] = ()
    seconds: float = 120
    """Longer than this and the fault counts as not as expected."""
    in_ci: bool = False
    """Fast, and without root: also an ordinary test."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a run of a fault showed. trouble: why there are no points, or no further ones; detail: more of it, for the screen alone."""

    fault: Fault
    points: tuple[Point, ...]
    trouble: str = ""
    detail: str = ""

    @property
    def as_expected(self) -> bool:
        return not self.trouble and bool(self.points) and all(point.holds for point in self.points)

    @property
    def words(self) -> str:
        said = [str(point) for point in self.points]
        return "; ".join([*said, f"**{self.trouble}**"] if self.trouble else said)


def at_most(limit: float, value: float, unit: str) -> str:
    """A measured value as a category that a rerun gives again: `at most 10 s`, or the value when it is more."""
    return f"at most {limit:g} {unit}" if value <= limit else f"{value:.0f} {unit}"


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(_words(one) for one in value) or "none"
    return str(value)
