"""What a template check sees of a report: its content tree without texts, numbers and UIDs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID

_FREE = frozenset({"DS", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "DA", "DT", "UC", "UT", "UI"})
_CODES = frozenset({"CodeValue", "LongCodeValue", "CodingSchemeDesignator", "CodeMeaning", "TemplateIdentifier", "MappingResource"})
_HEADER = ("SOPClassUID", "VerificationFlag", "InstitutionName")
"""All of the header that PixelMed's style sheets look at."""
_ROOT = ("ValueType", "ConceptNameCodeSequence", "ContinuityOfContent", "ContentTemplateSequence", "ContentSequence")


def shape(report: Dataset) -> str:
    """Equal for reports that differ in nothing but texts, numbers and UIDs: a template says nothing of these."""
    root = Dataset()
    for keyword in _ROOT:
        if keyword in report:
            root.add(report[keyword])
    return repr(([str(report.get(keyword)) for keyword in _HEADER], _of(root)))


def _of(item: Dataset) -> list[Any]:
    return [(element.keyword, _value(element)) for element in item]


def _value(element: Any) -> Any:
    if element.VR == "SQ":
        return [_of(item) for item in element.value]
    if element.VR == "UI" and UID(element.value).is_private is False:
        return str(element.value)  # of a SOP class
    return element.is_empty if element.VR in _FREE and element.keyword not in _CODES else str(element.value)


def by_shape(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Reports by their shape."""
    found: dict[str, list[Path]] = {}
    for file in files:
        found.setdefault(shape(dcmread(file)), []).append(file)
    return found
