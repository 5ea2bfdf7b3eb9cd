"""What a DICOM header says of a patient that a table does not: id, age, sex, body mass index. Never a label."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from strnet_core.errors import TrainingDataError
from strnet_core.training.films import Film, Sex, is_possible

_PREAMBLE = 128
_TAGS = ["SOPInstanceUID", "PatientID", "IssuerOfPatientID", "PatientAge", "PatientBirthDate", "StudyDate", "PatientSex", "PatientSize",
         "PatientWeight"]  # fmt: skip
_AGE = re.compile(r"(\d{3})([DWMY])")
_DAYS = {"D": 1.0, "W": 7.0, "M": 30.4375, "Y": 365.25}
_HEIGHTS, _WEIGHTS = (1.0, 2.5), (20.0, 300.0)
"""Metres and kilograms: heights in centimetres and weights in grams stand in headers too, and are not repaired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientHeader:
    patient_id: str
    """With its issuer, so that two hospitals' numbers are two patients; empty: unknown."""
    age_years: float | None
    sex: Sex | None
    bmi: float | None


def is_dicom(path: Path) -> bool:
    """Whether the file has the prefix of part 10 (PS3.10 7.1)."""
    with path.open("rb") as stream:
        return stream.read(_PREAMBLE + 4)[_PREAMBLE:] == b"DICM"


def sop_instances_below(folder: Path) -> dict[str, Path]:
    """Part 10 files by SOP instance UID. Raises TrainingDataError where two files have the same."""
    found: dict[str, Path] = {}
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        if is_dicom(path):
            uid = str(_header(path).get("SOPInstanceUID", ""))
            if uid in found:
                raise TrainingDataError(f"{path.name} and {found[uid].name} have one SOP instance UID")
            found[uid] = path
    return found


def header_of(path: Path) -> PatientHeader:
    """Raises TrainingDataError where the header cannot be read; a value that makes no sense is unknown."""
    header = _header(path)
    number, issuer = _text(header, "PatientID"), _text(header, "IssuerOfPatientID")
    sex = _text(header, "PatientSex")
    return PatientHeader(
        patient_id=f"{number}^{issuer}" if number and issuer else number,
        age_years=_age(header),
        sex="F" if sex == "F" else "M" if sex == "M" else None,
        bmi=_bmi(header),
    )


def filled(film: Film) -> Film:
    """What is not known of a film's patient, from its header where the file is DICOM. Raises TrainingDataError."""
    if not is_dicom(film.path):
        return film
    header = header_of(film.path)
    return replace(
        film,
        patient_id=film.patient_id or header.patient_id,
        age_years=header.age_years if film.age_years is None else film.age_years,
        sex=film.sex or header.sex,
        bmi=header.bmi if film.bmi is None else film.bmi,
    )


def _header(path: Path) -> Dataset:
    try:
        return dcmread(path, stop_before_pixels=True, specific_tags=[*_TAGS])
    except Exception as error:
        # pydicom raises whatever a malformed header makes it raise, and its text may quote a value
        raise TrainingDataError(f"{path.name}: {type(error).__name__}") from error


def _text(header: Dataset, keyword: str) -> str:
    return str(_value(header, keyword) or "").strip()


def _value(header: Dataset, keyword: str) -> Any:
    try:
        return header.get(keyword)
    except Exception:  # noqa: BLE001 values are read lazily: what cannot be read is unknown
        return None


def _age(header: Dataset) -> float | None:
    stated = _AGE.fullmatch(_text(header, "PatientAge"))
    if stated:
        age = int(stated[1]) * _DAYS[stated[2]] / _DAYS["Y"]
        return age if is_possible("age", age) else None
    born, studied = (_date(_text(header, keyword)) for keyword in ("PatientBirthDate", "StudyDate"))
    if born is None or studied is None:
        return None
    age = (studied - born).days / _DAYS["Y"]
    return age if is_possible("age", age) else None


def _date(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 a DICOM date has no zone
    except ValueError:
        return None


def _bmi(header: Dataset) -> float | None:
    height, weight = (_number(_text(header, keyword)) for keyword in ("PatientSize", "PatientWeight"))
    if height is None or weight is None or not _HEIGHTS[0] <= height <= _HEIGHTS[1] or not _WEIGHTS[0] <= weight <= _WEIGHTS[1]:
        return None
    bmi = weight / height**2
    return bmi if is_possible("bmi", bmi) else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
