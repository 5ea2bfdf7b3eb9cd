"""Data folders of any layout to one list of films."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from strnet_core.errors import TrainingDataError
from strnet_core.training.class_folders import read_class_folders
from strnet_core.training.films import Film, Reading
from strnet_core.training.label_table import TABLE, read_label_table


def read_data(folders: Sequence[Path], patient_pattern: str = "", *, separate_patients: bool = False) -> Reading:
    """Folders with labels.csv, or with a folder per class; DICOM files or images in either. Several folders become one data set,
    each name then beginning with its folder's. separate_patients: so do patient ids, and an id in two folders is two people.
    Raises TrainingDataError."""
    several = len(folders) > 1
    readings = [
        _prefixed(_read(folder, patient_pattern), f"{folder.resolve().name}/" if several else "", separate_patients=separate_patients)
        for folder in folders
    ]
    films = tuple(film for reading in readings for film in reading.films)
    doubled = sorted(name for name, count in Counter(film.name for film in films).items() if count > 1)
    if doubled:
        raise TrainingDataError(f"named twice: {', '.join(doubled[:5])}")
    return Reading(films=films, left_out=tuple(each for reading in readings for each in reading.left_out))


def _read(folder: Path, patient_pattern: str) -> Reading:
    if not folder.is_dir():
        raise TrainingDataError(f"{folder.name} is no folder")
    table = folder / TABLE
    return read_label_table(table) if table.is_file() else read_class_folders(folder, patient_pattern)


def _prefixed(reading: Reading, prefix: str, *, separate_patients: bool) -> Reading:
    def patient(film: Film) -> str:
        return prefix + film.patient_id if separate_patients and film.patient_id else film.patient_id

    return Reading(
        films=tuple(dataclasses.replace(film, name=prefix + film.name, patient_id=patient(film)) for film in reading.films),
        left_out=tuple(dataclasses.replace(each, name=prefix + each.name) for each in reading.left_out),
    )
