"""All pairs: a small table of combinations in which any two values of any two attributes meet. The same in every run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

_Pair = tuple[tuple[str, str], tuple[str, str]]


def pairs_of(row: Mapping[str, str]) -> set[_Pair]:
    """Every two (attribute, value) that a row joins, in the order of its attributes."""
    return set(combinations(row.items(), 2))


def all_pairs(choices: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Rows of one value for each attribute, greedily few: each row starts with a pair not met yet and takes what meets most others.

    choices: values by attribute. No chance in it: ties go to what stands first in the table.
    """
    names = list(choices)
    order = {name: number for number, name in enumerate(names)}
    open_pairs: dict[_Pair, None] = {((a, x), (b, y)): None for a, b in combinations(names, 2) for x in choices[a] for y in choices[b]}
    rows = []
    while open_pairs:
        row = dict(next(iter(open_pairs)))
        for name in sorted((n for n in names if n not in row), key=lambda n: -len(choices[n])):
            row[name] = max(choices[name], key=lambda value: _newly_met(row, name, value, open_pairs, order))
        row = {name: row[name] for name in names}
        for pair in pairs_of(row):
            open_pairs.pop(pair, None)
        rows.append(row)
    return rows


def _newly_met(row: Mapping[str, str], name: str, value: str, open_pairs: Mapping[_Pair, None], order: Mapping[str, int]) -> int:
    here = (name, value)
    return sum(((here, other) if order[name] < order[other[0]] else (other, here)) in open_pairs for other in row.items())
