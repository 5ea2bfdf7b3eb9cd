from __future__ import annotations

from itertools import chain, combinations

import pytest
from pydicom.dataset import Dataset

from strnet_core.knees import header_sides, sides_of_knees

UNKNOWN = ("U", "unknown")
NAMED = [frozenset(names) for names in chain.from_iterable(combinations("RLB", size) for size in range(4))]
DIRECTIONS = ["", "L", "R", "LH", "RF", "L\\F", "A", "P", "H", "F", "AL", "U", "l", " R "]


def expected(named: frozenset[str], direction: str, knees: int):
    if knees == 1:
        return {frozenset("R"): (("R", "tags"),), frozenset("L"): (("L", "tags"),)}.get(named, (UNKNOWN,))
    if named not in (frozenset(), frozenset("B")):
        return (UNKNOWN, UNKNOWN)
    if direction in ("L", "LH", "L\\F", "l"):
        return (("R", "convention"), ("L", "convention"))
    if direction in ("R", "RF", " R "):
        return (("L", "convention"), ("R", "convention"))
    return (UNKNOWN, UNKNOWN)


@pytest.mark.parametrize("knees", [1, 2])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("named", NAMED, ids=lambda named: "".join(sorted(named)) or "none")
def test_every_combination_of_tags_direction_and_count(named, direction, knees):
    assert sides_of_knees(named, direction, knees) == expected(named, direction, knees)


def test_a_side_is_never_given_twice():
    for named in NAMED:
        for direction in DIRECTIONS:
            known = [side for side, _ in sides_of_knees(named, direction, 2) if side != "U"]
            assert len(known) == len(set(known))
            assert len(known) in (0, 2)


def test_more_knees_than_two_have_no_side():
    assert sides_of_knees(frozenset("R"), "L", 3) == (UNKNOWN,) * 3


def modified(*codes: tuple[str, str]) -> Dataset:
    region = Dataset()
    region.AnatomicRegionModifierSequence = []
    for value, scheme in codes:
        modifier = Dataset()
        modifier.CodeValue, modifier.CodingSchemeDesignator = value, scheme
        region.AnatomicRegionModifierSequence.append(modifier)
    dataset = Dataset()
    dataset.AnatomicRegionSequence = [region]
    return dataset


@pytest.mark.parametrize("tag", ["Laterality", "ImageLaterality"])
@pytest.mark.parametrize(("value", "named"), [("R", "R"), ("L", "L"), ("B", "B"), ("U", ""), ("", ""), ("RIGHT", "")])
def test_each_tag_names_a_side(tag, value, named):
    dataset = Dataset()
    setattr(dataset, tag, value)
    assert header_sides(dataset) == (frozenset(named), "")


@pytest.mark.parametrize(
    ("value", "scheme", "named"),
    [
        ("24028007", "SCT", "R"),
        ("G-A100", "SRT", "R"),
        ("7771000", "SCT", "L"),
        ("G-A101", "SRT", "L"),
        ("51440002", "SCT", "B"),
        ("G-A102", "SNM3", "B"),
        ("24028007", "LOCAL", ""),
        ("66459002", "SCT", ""),
    ],
)
def test_each_modifier_code_names_a_side(value, scheme, named):
    assert header_sides(modified((value, scheme))) == (frozenset(named), "")


def test_all_that_a_header_names_is_gathered():
    dataset = modified(("24028007", "SCT"))
    dataset.ImageLaterality = "L"
    dataset.PatientOrientation = ["L", "F"]
    assert header_sides(dataset) == (frozenset("RL"), "L")
    assert header_sides(Dataset()) == (frozenset(), "")
