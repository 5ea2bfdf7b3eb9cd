"""A folder per class: the layout of the public Kaggle sets, whatever lies between the class's folder and the image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from strnet_core.errors import TrainingDataError
from strnet_core.training.dicom_headers import filled, is_dicom
from strnet_core.training.films import CLASSES, Film, LeftOut, Reading

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".dcm"})

_NAMES: Mapping[str, int] = {
    **{name: label for label, name in enumerate(CLASSES)},
    **{str(label): label for label in range(len(CLASSES))},
    "healthy": 0,
    "osteopenic": 1,
    "osteoporotic": 2,
}
_ORDER = re.compile(r"^\d+[\s._-]+(?=[a-z])")
"""`0 normal`, `1_osteopenia`: a number before the class's name."""


def class_of_folder(name: str) -> int | None:
    """0, 1 or 2 of a folder's name, in any case and with a number before it; None where it names no class."""
    return _NAMES.get(_ORDER.sub("", name.strip().lower()))


def read_class_folders(folder: Path, patient_pattern: str = "") -> Reading:
    """Every image below `folder`, DICOM by its content whatever it is called; its class is the nearest folder above it that names one,
    and never its file's name.

    `patient_pattern` is a regular expression whose first group, searched in the file's name without suffix, is the patient id; without
    one it is the DICOM header's, which also tells age, sex and BMI, and of other files the patient is unknown. Files outside of all
    classes and files that are no image are left out by name, not silently. Raises TrainingDataError.
    """
    find = _compiled(patient_pattern)
    films, left_out = [], []
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        name = path.relative_to(folder).as_posix()
        label = next((found for part in path.relative_to(folder).parts[-2::-1] if (found := class_of_folder(part)) is not None), None)
        if path.suffix.lower() not in SUFFIXES and not is_dicom(path):
            left_out.append(LeftOut(name=name, reason="no_image"))
        elif label is None:
            left_out.append(LeftOut(name=name, reason="no_class"))
        else:
            film = Film(name=name, path=path, label=label, patient_id=_patient(find, path.stem))
            try:
                films.append(filled(film))
            except TrainingDataError:
                left_out.append(LeftOut(name=name, reason="unreadable"))
    if not films:
        raise TrainingDataError(f"no image below a folder that is named {', '.join(CLASSES)}")
    return Reading(films=tuple(films), left_out=tuple(left_out))


def _compiled(pattern: str) -> re.Pattern[str] | None:
    if not pattern:
        return None
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise TrainingDataError(f"patient pattern: {error}") from error
    if compiled.groups < 1:
        raise TrainingDataError("patient pattern: it needs a group in brackets")
    return compiled


def _patient(find: re.Pattern[str] | None, stem: str) -> str:
    if find is None:
        return ""
    found = find.search(stem)
    if found is None or not found.group(1):
        raise TrainingDataError(f"patient pattern: it finds no patient in {stem}")
    return found.group(1)
