"""Source instances as evidence: headers made fit to be inherited from, whatever a modality wrote."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from gateway.dicom.characters import READ_ERRORS, as_meant, declared_encodings
from gateway.results.inheritance import ENUMERATED, INHERITED, INHERITED_ITEMS, TYPE_2
from gateway.results.legal_values import is_legal, legal_name, plain

UNICODE: Final = "ISO_IR 192"

_ORIENTATION = re.compile(r"(?!.*([APRLHF]).*\1)[APRLHF]{1,3}")
_TEXT: Final = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "SH", "ST", "TM", "UC", "UI", "UR", "UT"})
_PAIR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInstance:
    """A received instance. dataset: its header, without pixel data. presentation: uint8 (rows, columns), 0 = black, or None."""

    dataset: Dataset
    presentation: npt.NDArray[np.uint8] | None = None


def normalised(dataset: Dataset) -> Dataset:
    """A copy in UTF-8 that every result can inherit from: `INHERITED` and `INHERITED_ITEMS`, and of these only what is legal.

    Type 2 attributes are always there, empty when the source has no legal value: an identifier is whole or absent, since a shortened
    one, or one of several, may be somebody else's. Of a name the legal part is kept.
    """
    encodings = declared_encodings(dataset)
    header = _legal_part(dataset, INHERITED, encodings)
    for keyword, needed in INHERITED_ITEMS.items():
        items = [_legal_part(item, needed, declared_encodings(item, encodings)) for item in _items(dataset, keyword)]
        whole = [item for item in items if len(item) == len(needed)]
        if whole:
            setattr(header, keyword, whole)
    header.SpecificCharacterSet = UNICODE
    for keyword in TYPE_2:
        if keyword not in header:
            setattr(header, keyword, "")
    orientation = patient_orientation(header)
    header.PatientOrientation = list(orientation) if orientation else ""
    return header


def patient_orientation(dataset: Dataset) -> tuple[str, str] | None:
    """Row and column direction when the source tells both well (PS3.3 C.7.6.1.1.1), else None."""
    values = dataset.get("PatientOrientation") or ()
    if isinstance(values, str) or len(values) != _PAIR:
        return None
    row, column = (str(value).strip() for value in values)
    return (row, column) if _ORIENTATION.fullmatch(row) and _ORIENTATION.fullmatch(column) else None


def pixel_spacing_mm(dataset: Dataset) -> tuple[float, float] | None:
    """Imager pixel spacing (row, column) when it is a pair of positive numbers, else None."""
    values = dataset.get("ImagerPixelSpacing") or ()
    try:
        pair = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        return None
    return (pair[0], pair[1]) if len(pair) == _PAIR and min(pair) > 0 else None


def _legal_part(dataset: Dataset, keywords: Iterable[str], encodings: Sequence[str]) -> Dataset:
    part = Dataset()
    for keyword in keywords:
        try:
            element = _element(dataset, keyword)
            if element is None:
                continue
            vr = dictionary_VR(element.tag)  # whatever the source wrote
            values = _legal_values(element, vr, encodings)
        except READ_ERRORS:
            continue  # unreadable here, so nobody could read it in a result
        if values:
            part.add(DataElement(element.tag, vr, list(values) if len(values) > 1 else values[0]))
    return part


def _legal_values(element: DataElement, vr: str, encodings: Sequence[str]) -> Sequence[object]:
    """All values in their plain form, or none. Fresh ones: a name that remembered its bytes would write them again."""
    found = element.value if isinstance(element.value, MultiValue | list) else [element.value]
    if any(isinstance(value, bytes | Dataset) for value in found):
        return ()  # of a representation that has no text
    if vr == "PN":
        names = [legal_name(as_meant(str(name), encodings)) for name in found if name]
        return names if is_legal(element.tag, vr, names) else names[:1]
    if vr in _TEXT:
        found = [plain(as_meant(str(value), encodings), vr) for value in found if value is not None]
    if not any(value != "" for value in found) or not is_legal(element.tag, vr, found):
        return ()
    allowed = ENUMERATED.get(element.keyword)
    return found if allowed is None or allowed.issuperset(found) else ()


def _items(dataset: Dataset, keyword: str) -> Sequence[Dataset]:
    try:
        element = _element(dataset, keyword)
        return list(element.value) if element is not None and element.VR == "SQ" else []
    except READ_ERRORS:
        return []


def _element(dataset: Dataset, keyword: str) -> DataElement | None:
    tag = tag_for_keyword(keyword)
    return dataset[tag] if tag is not None and tag in dataset else None
