"""Made-up patients with knee films whose truth is known: labels that the image shows, and age, sex and BMI that tell nothing of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from strnet_core.phantom.film_parameters import FilmParameters, with_density

Knees = Literal["one", "two", "mixed"]

_T_SCORES: Final = {0: (-1.0, 1.5), 1: (-2.49, -1.01), 2: (-4.0, -2.5)}
"""By class (0 normal, 1 osteopenia, 2 osteoporosis), as the WHO bounds them."""
_LOWEST_T, _T_SPAN = -4.0, 5.5
_MEAN_BMI, _SOFT_TISSUE_MM, _MM_PER_BMI = 26.0, 22.0, 1.6


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortParameters:
    """Which cases are made. knees: on one film; mixed = every third film shows both. Raises ValueError out of range."""

    count: int
    """1 to 100,000. The first cases of a larger cohort are those of a smaller one."""
    seed: int = 1
    knees: Knees = "one"
    implants: float = 0.0
    """Share of films with metal, 0 to 1."""
    rows: int = 1400
    columns: int = 1100
    """Of a film of one knee; a film of two is 1.8 times as wide."""
    pixel_spacing_mm: float = 0.2

    def __post_init__(self) -> None:
        if not (1 <= self.count <= 100_000 and self.seed >= 0 and 0.0 <= self.implants <= 1.0 and self.knees in ("one", "two", "mixed")):  # noqa: PLR2004
            raise ValueError("out of range: count, seed, knees or implants")
        FilmParameters(rows=self.rows, columns=self.columns, pixel_spacing_mm=self.pixel_spacing_mm)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomCase:
    """One patient with one film."""

    number: int
    """From 1."""
    patient_id: str
    label: int
    """0 normal, 1 osteopenia, 2 osteoporosis."""
    t_score: float
    density: float
    """0..1, what bone was drawn with; a straight line in the T-score."""
    age_years: int
    sex: Literal["M", "F"]
    bmi: float
    """kg/m2; shown by the thickness of the soft tissue."""
    film: FilmParameters
    seed: int


def cases(parameters: CohortParameters) -> Iterator[PhantomCase]:
    """Each from a source of its own, so that a case does not depend on how many there are."""
    for number in range(1, parameters.count + 1):
        yield _case(parameters, number)


def _case(parameters: CohortParameters, number: int) -> PhantomCase:
    random = np.random.default_rng((parameters.seed, number))
    label = int(random.integers(3))
    t_score = round(float(random.uniform(*_T_SCORES[label])), 2)
    density = (t_score - _LOWEST_T) / _T_SPAN
    bmi = round(float(np.clip(random.normal(_MEAN_BMI, 4.0), 17.0, 42.0)), 2)
    age, sex = int(random.integers(50, 90)), ("F" if random.random() < 0.5 else "M")  # noqa: PLR2004
    return PhantomCase(
        number=number,
        patient_id=f"PH{parameters.seed}-{number:05d}",
        label=label,
        t_score=t_score,
        density=density,
        age_years=age,
        sex="F" if sex == "F" else "M",
        bmi=bmi,
        film=with_density(_film(parameters, number, bmi, random), density),
        seed=int(random.integers(1 << 31)),
    )


def _film(parameters: CohortParameters, number: int, bmi: float, random: np.random.Generator) -> FilmParameters:
    """What differs from patient to patient and from room to room, and says nothing of the bone."""

    def about(middle: float, spread: float, low: float, high: float) -> float:
        return round(float(np.clip(random.normal(middle, spread), low, high)), 3)

    both = parameters.knees == "two" or (parameters.knees == "mixed" and number % 3 == 0)
    metal = random.random() < parameters.implants
    return FilmParameters(
        side="R" if random.random() < 0.5 else "L",  # noqa: PLR2004
        knees=2 if both else 1,
        rows=parameters.rows,
        columns=round(1.8 * parameters.columns) if both else parameters.columns,
        pixel_spacing_mm=parameters.pixel_spacing_mm,
        joint_height=about(0.48, 0.03, 0.38, 0.58),
        offset_mm=about(0.0, 5.0, -12.0, 12.0),
        tilt_degrees=about(0.0, 2.0, -6.0, 6.0),
        femur_width_mm=about(84.0, 5.0, 70.0, 98.0),
        shaft_width_mm=about(29.0, 2.0, 24.0, 35.0),
        joint_space_mm=about(4.5, 1.0, 1.0, 7.0),
        alignment_degrees=about(0.0, 2.5, -8.0, 8.0),
        soft_tissue_mm=round(float(np.clip(_SOFT_TISSUE_MM + _MM_PER_BMI * (bmi - _MEAN_BMI), 6.0, 55.0)), 3),
        marker="plate" if random.random() < 0.5 else "letter",  # noqa: PLR2004
        implant=_IMPLANTS[int(random.integers(len(_IMPLANTS)))] if metal else "none",
        collimation_mm=about(4.0, 2.0, 0.0, 15.0),
        collimation_tilt_degrees=about(0.0, 0.8, -3.0, 3.0),
        exposure=about(1.0, 0.1, 0.75, 1.3),
        scatter=about(0.12, 0.03, 0.03, 0.25),
        blur_mm=about(0.15, 0.03, 0.05, 0.3),
        noise=about(0.3, 0.08, 0.1, 0.6),
    )


_IMPLANTS: Final[tuple[Literal["knee", "screws", "nail"], ...]] = ("knee", "screws", "nail")
