"""Who the cases are, by class: the paper's Tables 1, 3 and 6."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from strnet_core.evaluation.case import NORMAL, OSTEOPENIA, OSTEOPOROSIS, Case
from strnet_core.evaluation.cohort import FloatArray, values

CLASS_NAMES = {NORMAL: "normal", OSTEOPENIA: "osteopenia", OSTEOPOROSIS: "osteoporosis"}
_NUMBERS: dict[str, Callable[[Case], float | None]] = {
    "age, years": lambda case: case.age,
    "BMI, kg/m2": lambda case: case.bmi,
    "T-score": lambda case: case.t_score,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Of one class: mean and standard deviation (n - 1), or k of n with a percentage."""

    n: int
    """Cases of which it is known."""
    mean: float | None = None
    sd: float | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Characteristic:
    """One line of the table."""

    name: str
    by_class: dict[str, Summary]
    overall: Summary
    p: float | None
    """Kruskal-Wallis for numbers, chi-square for counts, over the classes that there are; None where not defined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Characteristics:
    """Cases by class, and what they are like."""

    classes: dict[str, int]
    lines: tuple[Characteristic, ...]


def characteristics(cases: Sequence[Case]) -> Characteristics:
    """Of labelled cases."""
    parts = {name: [case for case in cases if case.label_cls == label] for label, name in CLASS_NAMES.items()}
    lines = [_number(name, value, parts, cases) for name, value in _NUMBERS.items()]
    lines.append(_count("female", lambda case: None if case.sex is None else case.sex == "F", parts, cases))
    families = sorted({case.family for case in cases if case.family is not None})
    lines += [_count(f"family {family}", _is_family(family), parts, cases) for family in families]
    return Characteristics(classes={name: len(part) for name, part in parts.items()}, lines=tuple(line for line in lines if line.overall.n))


def _is_family(family: str) -> Callable[[Case], bool | None]:
    return lambda case: None if case.family is None else case.family == family


def _number(name: str, value: Callable[[Case], float | None], parts: dict[str, list[Case]], cases: Sequence[Case]) -> Characteristic:
    known = {label: _known(value, part) for label, part in parts.items()}
    return Characteristic(
        name=name,
        by_class={label: _described(part) for label, part in known.items()},
        overall=_described(_known(value, cases)),
        p=_kruskal([part for part in known.values() if part.size]),
    )


def _known(value: Callable[[Case], float | None], cases: Sequence[Case]) -> FloatArray:
    every = values(map(value, cases))
    return every[np.isfinite(every)]


def _described(known: FloatArray) -> Summary:
    if not known.size:
        return Summary(n=0)
    return Summary(n=known.size, mean=float(known.mean()), sd=float(known.std(ddof=1)) if known.size > 1 else None)


def _kruskal(parts: list[FloatArray]) -> float | None:
    from scipy.stats import kruskal

    if len(parts) < 2 or np.ptp(np.concatenate(parts)) == 0.0:  # noqa: PLR2004
        return None
    return float(kruskal(*parts).pvalue)


def _count(name: str, holds: Callable[[Case], bool | None], parts: dict[str, list[Case]], cases: Sequence[Case]) -> Characteristic:
    by_class = {label: _counted(holds, part) for label, part in parts.items()}
    return Characteristic(name=name, by_class=by_class, overall=_counted(holds, cases), p=_chi_square(list(by_class.values())))


def _counted(holds: Callable[[Case], bool | None], cases: Sequence[Case]) -> Summary:
    known = [answer for answer in map(holds, cases) if answer is not None]
    return Summary(n=len(known), count=sum(known))


def _chi_square(parts: list[Summary]) -> float | None:
    from scipy.stats import chi2_contingency

    table = np.array([((part.count or 0), part.n - (part.count or 0)) for part in parts if part.n])
    if table.shape[0] < 2 or 0 in table.sum(axis=0):  # noqa: PLR2004
        return None
    return float(chi2_contingency(table, correction=False).pvalue)
