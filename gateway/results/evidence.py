"""Source instances as evidence: headers made fit to be inherited from, whatever a modality wrote."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from pydicom.config import RAISE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import DA, TM, PersonName, validate_value

from gateway.dicom.characters import READ_ERRORS

UNICODE: Final = "ISO_IR 192"

_TYPE_2: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
)
"""Patient and General Study attributes that a result must carry, if only empty (PS3.3 C.7.1.1, C.7.2.1)."""

_OF_ANIMALS: Final = frozenset(
    {
        "PatientSpeciesDescription",
        "PatientSpeciesCodeSequence",
        "PatientBreedDescription",
        "PatientBreedCodeSequence",
        "BreedRegistrationSequence",
        "ResponsiblePerson",
        "ResponsiblePersonRole",
        "ResponsibleOrganization",
    }
)
"""Each of them demands others (PS3.3 C.7.1.1); modalities write some of them, empty, for people."""

_IDENTITY: Final = frozenset(
    {"PatientName", "PatientID", "AccessionNumber", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"}
)
"""Never dropped, however odd: a PACS matches results by them."""

_ORIENTATION = re.compile(r"(?!.*([APRLHF]).*\1)[APRLHF]{1,3}")
_ESCAPE_SEQUENCE = re.compile(r"\x1b[\x20-\x2f]+[\x30-\x7e]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_TEXT: Final = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})
_PAIR = 2
_LARGEST_VALUE = 16 * 1024
_FIRST_DATA_GROUP, _FIRST_BULK_GROUP = 0x0008, 0x5000


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInstance:
    """A received instance. dataset: its header, without pixel data. presentation: uint8 (rows, columns), 0 = black, or None."""

    dataset: Dataset
    presentation: npt.NDArray[np.uint8] | None = None


def normalised(dataset: Dataset) -> Dataset:
    """A copy in UTF-8 that every result can inherit from.

    Absent Type 2 attributes are there, empty; optional ones that are empty or that their VR forbids are gone.
    """
    header = _without_bulk(dataset)
    _settle(header)
    header.SpecificCharacterSet = UNICODE
    for keyword in _TYPE_2:
        if keyword not in header or header[keyword].value is None:
            setattr(header, keyword, "")
    if header.PatientSex not in ("M", "F", "O", ""):
        header.PatientSex = ""
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


def _without_bulk(dataset: Dataset) -> Dataset:
    """Copy of the public attributes; pixel data, overlays, private and very long values stay behind.

    Reading an element decodes its text in the source's own character set: before that set's name is replaced.
    """
    header = Dataset()
    for tag in dataset.keys():  # noqa: SIM118 - iterating a Dataset parses each element
        if tag.is_private or tag.group >= _FIRST_BULK_GROUP or tag.group < _FIRST_DATA_GROUP:
            continue
        try:
            element = deepcopy(dataset[tag])
            _read_through(element)
        except READ_ERRORS:
            continue  # unreadable here, so nobody could read it in a result
        if not (isinstance(element.value, bytes) and len(element.value) > _LARGEST_VALUE):
            header.add(element)
    return header


def _read_through(element: DataElement) -> None:
    """pydicom parses items of sequences when they are asked for; what is wrong in them must show here."""
    for item in element.value if element.VR == "SQ" else ():
        for inner in item:
            _read_through(inner)


def _settle(dataset: Dataset) -> None:
    """Re-encode names, drop optional values that their VR forbids: they would make our results invalid."""
    for element in list(dataset):
        if element.keyword in _OF_ANIMALS or (element.is_empty and element.keyword not in _TYPE_2):
            del dataset[element.tag]
            continue
        if element.keyword == "SpecificCharacterSet":
            if dataset.get("SpecificCharacterSet") != UNICODE:
                dataset.SpecificCharacterSet = UNICODE
        elif element.VR == "SQ":
            for item in element.value:
                _settle(item)
        elif element.VR == "PN":
            element.value = _each(element.value, lambda name: PersonName(_plain(str(name))))
            continue
        elif element.VR in _TEXT and _CONTROL.search(str(element.value)):
            element.value = _each(element.value, lambda text: _plain(str(text)))
        if element.VR != "SQ" and element.keyword not in _IDENTITY and not _is_valid(element):
            del dataset[element.tag]


def _each(value: object, change: Callable[[object], object]) -> object:
    """A fresh value: a name that remembered the bytes it was read from would write them again under the new character set."""
    if isinstance(value, MultiValue | list):
        return [change(one) for one in value]
    return change("" if value is None else value)


def _plain(text: str) -> str:
    """Without ISO 2022 escape sequences, which pydicom 3.0 leaves in names and texts of ISO 2022 IR 58, and without controls."""
    return _CONTROL.sub("", _ESCAPE_SEQUENCE.sub("", text))


def _is_valid(element: DataElement) -> bool:
    values = element.value if isinstance(element.value, MultiValue | list) else [element.value]
    return all(_is_valid_value(element.VR, value) for value in values)


def _is_valid_value(vr: str, value: object) -> bool:
    if value is None or value == "":
        return True
    text = str(value)
    try:
        if vr == "DA":
            return re.fullmatch(r"\d{8}", text) is not None and DA(text) is not None
        if vr == "TM":
            return re.fullmatch(r"\d{2,6}(\.\d{1,6})?", text) is not None and TM(text) is not None
        validate_value(vr, text if vr in ("DS", "IS") else value, RAISE)
    except (ValueError, TypeError, AttributeError, OverflowError):
        return False
    return True
