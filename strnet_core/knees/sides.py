"""Which side each knee is: what the header names, or the row direction on a film with two. Never a guess from the pixels."""

from __future__ import annotations

from typing import Final, Literal

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from strnet_core.radiograph.header import text

Side = Literal["R", "L", "U"]
SideSource = Literal["tags", "convention", "unknown"]

_TWO: Final = 2
_UNKNOWN: Final[tuple[Side, SideSource]] = ("U", "unknown")
_CODES: Final = {
    "24028007": "R", "G-A100": "R",
    "7771000": "L", "G-A101": "L",
    "51440002": "B", "G-A102": "B",
}  # fmt: skip
"""SNOMED CT codes and their SNOMED RT predecessors, CID 244 Laterality (PS3.16)."""
_CODE_SCHEMES: Final = ("SCT", "SRT", "SNM3", "99SDM")
_SIDE_TAGS: Final = ("Laterality", "ImageLaterality")


def sides_of_knees(named: frozenset[str], row_direction: str, knees: int) -> tuple[tuple[Side, SideSource], ...]:
    """Side and how it is known, one per knee, from the image's left to its right.

    `named`: the sides that tags name, of R, L and B. `row_direction`: first value of PatientOrientation (0020,0020), where the
    rows run to (PS3.3 C.7.6.1.1.1), with or without further letters; empty if there is none. On two knees a tag that names a
    single side contradicts the pixels, so both are unknown: a result without a side can be put right, one on the wrong side not.
    """
    if knees == 1:
        return (_one(named),)
    if knees != _TWO:
        return (_UNKNOWN,) * knees
    first = row_direction.strip().upper()[:1]
    if named & {"R", "L"} or first not in ("R", "L"):
        return (_UNKNOWN, _UNKNOWN)
    # rows that run to the patient's left begin at the right knee
    return (("R", "convention"), ("L", "convention")) if first == "L" else (("L", "convention"), ("R", "convention"))


def header_sides(dataset: Dataset) -> tuple[frozenset[str], str]:
    """The sides that a header names, of R, L and B, and its row direction ("" if there is none), for `sides_of_knees`.

    Looks at Laterality (0020,0060), ImageLaterality (0020,0062) and the modifiers of
    AnatomicRegionSequence (0008,2218) > AnatomicRegionModifierSequence (0008,2220). Whatever else they say is not a side.
    """
    named = {side for tag in _SIDE_TAGS if (side := text(dataset, tag)) in ("R", "L", "B")}
    for region in dataset.get("AnatomicRegionSequence") or ():
        for modifier in region.get("AnatomicRegionModifierSequence") or ():
            code = text(modifier, "CodeValue")
            if code in _CODES and text(modifier, "CodingSchemeDesignator") in _CODE_SCHEMES:
                named.add(_CODES[code])
    return frozenset(named), _row_direction(dataset)


def _row_direction(dataset: Dataset) -> str:
    """The first of two values (PS3.3 C.7.6.1.1.1); one value alone says nothing that can be relied on."""
    value = dataset.get("PatientOrientation")
    return str(value[0]).strip().upper() if isinstance(value, MultiValue | list) and len(value) == 2 else ""  # noqa: PLR2004


def _one(named: frozenset[str]) -> tuple[Side, SideSource]:
    if named == {"R"}:
        return ("R", "tags")
    if named == {"L"}:
        return ("L", "tags")
    return _UNKNOWN
