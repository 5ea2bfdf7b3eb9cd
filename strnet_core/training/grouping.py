"""Which knees must never be parted by a split: those of one patient, and those of the same or nearly the same image."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from strnet_core.training.perceptual_hash import distance


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What ties a knee to others."""

    patient_id: str
    """Empty: unknown, ties to nobody."""
    film: str
    """Two knees of one film are of one patient."""
    digests: tuple[str, ...]
    """Hashes of the film's file, of its pixels and of the knee's image: one that is shared ties."""
    perceptual: int


def grouped(knees: Sequence[Traits], max_distance: int) -> tuple[str, ...]:
    """A group's name per knee, `g0000` and on in the order of first members. What is tied by steps is in one group."""
    parents = list(range(len(knees)))
    first: dict[Hashable, int] = {}
    bare = {knee.patient_id for knee in knees if knee.patient_id and "^" not in knee.patient_id}
    for number, knee in enumerate(knees):
        ties: list[Hashable] = [("film", knee.film), *(("digest", digest) for digest in knee.digests)]
        if knee.patient_id:
            ties.append(("patient", knee.patient_id))
            # a table's 123 may be the header's 123^HOSP; without a table two hospitals' 123 stay two
            ties += [("patient", number_alone)] if (number_alone := knee.patient_id.partition("^")[0]) in bare else []
        for tie in ties:
            _join(parents, first.setdefault(tie, number), number)
    for number, knee in enumerate(knees):
        for other in range(number):
            if distance(knee.perceptual, knees[other].perceptual) <= max_distance:
                _join(parents, other, number)
    return _named([_root(parents, number) for number in range(len(knees))])


def grouped_where(knees: Sequence[Traits], stays: Sequence[bool], max_distance: int) -> tuple[str, ...]:
    """Groups of those that stay, in their order. Knees that go still tie: two patients who claim one image may be one."""
    groups = grouped(knees, max_distance)
    return _named([group for group, here in zip(groups, stays, strict=True) if here])


def _named(roots: Sequence[Hashable]) -> tuple[str, ...]:
    names = {root: f"g{place:04d}" for place, root in enumerate(dict.fromkeys(roots))}
    return tuple(names[root] for root in roots)


def _root(parents: list[int], number: int) -> int:
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = parents[number]
    return number


def _join(parents: list[int], first: int, second: int) -> None:
    one, other = sorted((_root(parents, first), _root(parents, second)))
    parents[other] = one
