"""A figure that is never without its uncertainty, or the reason why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass

LEVEL = 0.95
"""Of every interval here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure with its 95 % interval. value None: it cannot be measured, and `missing` says why."""

    value: float | None
    low: float | None = None
    high: float | None = None
    method: str = ""
    """How the interval was made; empty without one."""
    missing: str = ""
    numerator: int | None = None
    """Of a proportion, with its denominator."""
    denominator: int | None = None

    def __post_init__(self) -> None:
        numbers = [number for number in (self.value, self.low, self.high) if number is not None]
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError("an estimate is a finite number or missing")
        if (self.value is None) != bool(self.missing):
            raise ValueError("an estimate has either a value or the reason why there is none")


def unmeasured(why: str) -> Estimate:
    """A figure that these cases do not hold."""
    return Estimate(value=None, missing=why)
