"""What a finished result says of its source, read back from its bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from io import BytesIO

from pydicom import dcmread
from pydicom.dataset import Dataset

from .hospital import expected

_ILLEGAL = re.compile(r"[\x00-\x09\x0b\x0e-\x1f\x7f-\x9f]")
"""Control characters but LF, FF and CR, which texts of several lines may hold (PS3.5 6.1.3)."""
_TEXT_VRS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"})


def disagreements(row: Mapping[str, str], content: bytes) -> list[str]:
    """Attributes of a result that do not say what the row's header says, and characters that its own character set does not have."""
    result = dcmread(BytesIO(content))
    found = [
        f"{keyword}: {said(result, keyword)!r} instead of {should!r}"
        for keyword, should in expected(row).items()
        if said(result, keyword) != should
    ]
    return found + list(undecodable(result))


def said(result: Dataset, keyword: str) -> str:
    """ "" when the attribute is empty or absent. Trailing padding and empty component groups of a name say nothing."""
    value = result.get(keyword)
    return "" if value is None else str(value).rstrip("= ")


def undecodable(result: Dataset) -> Iterator[str]:
    """Texts, taken from their bytes, that are no legal UTF-8. To be asked before any value is read."""
    if result.get("SpecificCharacterSet") != "ISO_IR 192":
        yield f"Specific Character Set is {result.get('SpecificCharacterSet')!r}"
    for element in result.iterall():
        if element.VR in _TEXT_VRS:
            text = str(element.value)
            if _ILLEGAL.search(text) or text.encode("utf-8", errors="replace").decode() != text:
                yield f"{element.keyword}: {text!r}"
