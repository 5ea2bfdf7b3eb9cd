"""A folder with labels.csv: images or DICOM files, and covariates where the table or the header has them."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from strnet_core.errors import TrainingDataError
from strnet_core.training.dicom_headers import filled, sop_instances_below
from strnet_core.training.films import CLASSES, Film, Reading, Sex, is_possible

TABLE = "labels.csv"
IMAGES = "images"

_SEXES: Mapping[str, Sex] = {"f": "F", "female": "F", "m": "M", "male": "M"}
_LABEL = re.compile(rf"([0-{len(CLASSES) - 1}])(\.0*)?")
"""Also as 1.0, which is what a table with unknown labels becomes in other tools."""
_MISSING = frozenset({"", "na", "nan", "none", "null"})
Row = Mapping[str, str]


def read_label_table(table: Path) -> Reading:
    """One film per row. Columns: `label_cls` (0, 1, 2), and `image` (a path in the table's folder or in its `images`) or
    `sop_instance_uid` (of a DICOM file anywhere below); and where known `patient_id`, `t_score`, `age`, `sex`, `bmi`, `family`.

    What the table leaves empty a DICOM header may fill: patient, age, sex, BMI; never the label. Other columns are ignored.
    Raises TrainingDataError that names the row.
    """
    rows = list(_rows(table))
    by_uid = sop_instances_below(table.parent) if any(row.get("sop_instance_uid") for row in rows) else {}
    films = tuple(_film(number, row, table.parent, by_uid) for number, row in enumerate(rows, 2))
    if not films:
        raise TrainingDataError(f"{table.name} has no rows")
    return Reading(films=films, left_out=())


def _rows(table: Path) -> Iterator[Row]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, strict=True)
            names = set(reader.fieldnames or ())
            if "label_cls" not in names or not names & {"image", "sop_instance_uid"}:
                raise TrainingDataError(f"{table.name} needs the columns label_cls and image or sop_instance_uid")
            for row in reader:
                yield {name: (value or "").strip() for name, value in row.items() if isinstance(name, str)}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TrainingDataError(f"{table.name}: {type(error).__name__}") from error


def _film(number: int, row: Row, folder: Path, by_uid: Mapping[str, Path]) -> Film:
    path = _path(number, row, folder, by_uid)
    label = _LABEL.fullmatch(row["label_cls"])
    if label is None:
        raise TrainingDataError(f"row {number}: label_cls is none of 0, 1, 2")
    film = Film(
        name=path.relative_to(folder).as_posix().removeprefix(f"{IMAGES}/"),
        path=path,
        label=int(label[1]),
        patient_id=row.get("patient_id", ""),
        t_score=_number(number, row, "t_score"),
        age_years=_number(number, row, "age"),
        sex=_sex(number, row),
        bmi=_number(number, row, "bmi"),
        family=row.get("family", ""),
    )
    return filled(film)


def _path(number: int, row: Row, folder: Path, by_uid: Mapping[str, Path]) -> Path:
    uid, image = row.get("sop_instance_uid", ""), row.get("image", "")
    if uid:
        if uid not in by_uid:
            raise TrainingDataError(f"row {number}: no file has this SOP instance UID")
        return by_uid[uid]
    inside = image and ".." not in Path(image).parts and not Path(image).is_absolute()
    for path in (folder / IMAGES / image, folder / image):
        if inside and path.is_file():
            return path
    raise TrainingDataError(f"row {number}: its image is not in the folder")


def _number(number: int, row: Row, column: str) -> float | None:
    text = row.get(column, "")
    if text.lower() in _MISSING:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise TrainingDataError(f"row {number}: {column} is no number")
    if not is_possible(column, value):
        raise TrainingDataError(f"row {number}: {column} is out of range")
    return value


def _sex(number: int, row: Row) -> Sex | None:
    text = row.get("sex", "").lower()
    if text in _MISSING:
        return None
    if text not in _SEXES:
        raise TrainingDataError(f"row {number}: sex is neither F nor M")
    return _SEXES[text]
