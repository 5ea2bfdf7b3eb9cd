"""Which values may stand in a result, and the nearest legal form of those that may not (PS3.5 6.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pydicom.config import RAISE
from pydicom.datadict import dictionary_VM
from pydicom.valuerep import DA, TM, validate_value

from gateway.dicom.characters import without_escapes

_TABS: Final = re.compile(r"\t+")
_LINES: Final = re.compile(r"[\n\f\r]+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_OF_SEVERAL_LINES: Final = frozenset({"LT", "ST", "UT"})
_NAME_GROUPS, _NAME_COMPONENTS, _NAME_LENGTH = 3, 5, 64
_DAY, _CLOCK = re.compile(r"\d{8}"), re.compile(r"\d{2,6}(\.\d{1,6})?")


def plain(text: str, vr: str) -> str:
    """Without escape sequences, control characters and padding; tabs are spaces, line breaks too but where a VR has lines."""
    text = _TABS.sub(" ", without_escapes(text))
    if vr not in _OF_SEVERAL_LINES:
        text = _LINES.sub(" ", text)
    return _CONTROL.sub("", text).strip(" ")


def legal_name(name: str) -> str:
    """A person name that PN can hold (PS3.5 6.2.1): three component groups of five components and 64 characters, the rest cut."""
    return "=".join(_legal_group(group) for group in plain(name, "PN").split("=")[:_NAME_GROUPS])


def _legal_group(group: str) -> str:
    *first, last = group.split("^", _NAME_COMPONENTS - 1)
    return "^".join([*first, last.replace("^", " ")])[:_NAME_LENGTH]


def is_legal(tag: int, vr: str, values: Sequence[object]) -> bool:
    """Whether an attribute may have these values: as many as the dictionary says, and each one of its VR."""
    return _may_be_so_many(dictionary_VM(tag), len(values)) and all(_is_legal_value(vr, value) for value in values)


def _may_be_so_many(multiplicity: str, count: int) -> bool:
    """multiplicity: PS3.6's, such as 1, 1-3, 1-n, 2-2n."""
    low, _, high = multiplicity.partition("-")
    least = int(low)
    if not high:
        return count == least
    if not high.endswith("n"):
        return least <= count <= int(high)
    step = int(high[:-1] or 1)
    return count >= least and count % step == 0


def _is_legal_value(vr: str, value: object) -> bool:
    text = str(value)
    try:
        if vr == "DA":
            return _DAY.fullmatch(text) is not None and DA(text) is not None
        if vr == "TM":
            return _CLOCK.fullmatch(text) is not None and TM(text) is not None
        validate_value(vr, text if vr in ("DS", "IS") else value, RAISE)
    except (ValueError, TypeError, AttributeError, OverflowError):
        return False
    return True
