"""How age, sex and body mass index become the three numbers of the T-score branch; the authors' way is unpublished."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class CovariateScaling:
    """A choice that belongs to the weights, like the preprocessing. The defaults are this project's, not the authors'.

    Raises ValueError where a value is not finite or a divisor is not above 0.
    """

    age_offset: float = 0.0
    """Years, subtracted before the division (a mean, where the training standardised)."""
    age_divisor: float = 100.0
    bmi_offset: float = 0.0
    """kg/m2, subtracted before the division."""
    bmi_divisor: float = 50.0
    male_value: float = 1.0
    female_value: float = 0.0

    def __post_init__(self) -> None:
        wrong = [item.name for item in fields(self) if not math.isfinite(getattr(self, item.name))]
        wrong += [name for name in ("age_divisor", "bmi_divisor") if getattr(self, name) <= 0.0]
        if self.male_value == self.female_value:
            wrong.append("male_value")
        if wrong:
            raise ValueError(f"out of range: {', '.join(wrong)}")

    def encode(self, age_years: float, *, male: bool, bmi: float) -> tuple[float, float, float]:
        """What the T-score branch sees of an age in years, a sex and a body mass index in kg/m2."""
        sex = self.male_value if male else self.female_value
        return (age_years - self.age_offset) / self.age_divisor, sex, (bmi - self.bmi_offset) / self.bmi_divisor
