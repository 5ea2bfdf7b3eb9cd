"""Tables of predictions: CSV to cases and back. An empty cell is unknown."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from strnet_core.errors import PredictionsError
from strnet_core.evaluation.case import OSTEOPOROSIS, Case, Sex
from strnet_core.training.films import RANGES
from strnet_core.training.prediction_table import COLUMNS as PREDICTION_COLUMNS
from strnet_core.training.prediction_table import SIZE

_REFUSED = "refused"
_KNEE = re.compile(r"#[12]$")
"""Of a film with two knees, which are of one patient."""
_REQUIRED_PREDICTIONS = ("image", "label_cls", "logit")
_REQUIRED_LABELS = ("image", "label_cls")
_RANGES = {**RANGES, "t_score_pred": (-100.0, 100.0)}


def read_predictions(path: Path) -> tuple[Case, ...]:
    """Cases of a table with predictions; unknown columns are passed over, `source_size` (columns x rows) and `refused` are
    taken where they are.

    Raises PredictionsError with the row (2 is the first below the heading) and the column, never with a value.
    """
    return _read(path, _REQUIRED_PREDICTIONS)


def read_labels(path: Path) -> tuple[Case, ...]:
    """Cases of a table of labels, without predictions. Raises PredictionsError."""
    return _read(path, _REQUIRED_LABELS)


def write_predictions(path: Path, cases: Iterable[Case]) -> None:
    """The table that `read_predictions` reads; numbers as Python's repr, so that they come back to the bit."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow((*PREDICTION_COLUMNS, SIZE, _REFUSED))
        for case in cases:
            size = "" if case.size is None else f"{case.size[0]}x{case.size[1]}"
            told = replace(case, patient_id=case.patient_id if case.is_patient_known else "")
            writer.writerow((*(_written(getattr(told, column)) for column in PREDICTION_COLUMNS), size, case.refused))


def _written(value: object) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def _read(path: Path, required: tuple[str, ...]) -> tuple[Case, ...]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            names = tuple(reader.fieldnames or ())
            missing = [column for column in required if column not in names]
            if missing:
                raise PredictionsError(f"{path.name} has no column {', '.join(missing)}")
            cases = tuple(_case(row, number) for number, row in enumerate(reader, 2))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PredictionsError(f"{path.name}: {type(error).__name__}") from error
    _refuse_repeated(cases)
    if not cases:
        raise PredictionsError(f"{path.name} has no rows")
    return cases


def _refuse_repeated(cases: tuple[Case, ...]) -> None:
    first: dict[str, int] = {}
    for number, case in enumerate(cases, 2):
        if case.image in first:
            raise PredictionsError(f"rows {first[case.image]} and {number} name the same image")
        first[case.image] = number


def _case(row: Mapping[str | None, str | None], number: int) -> Case:
    if None in row or any(value is None for value in row.values()):
        raise PredictionsError(f"row {number} has more or fewer cells than the heading")
    cells = {str(column): (value or "").strip() for column, value in row.items()}
    if not cells["image"]:
        raise PredictionsError(f"row {number} lacks image")
    patient, group = cells.get("patient_id", ""), cells.get("group", "")
    return Case(
        image=cells["image"],
        patient_id=patient or (f"group {group}" if group else f"film {_KNEE.sub('', cells['image'])}"),
        is_patient_known=bool(patient),
        group=group,
        fold=cells.get("fold") or None,
        label_cls=_label(cells["label_cls"], number),
        t_score=_number(cells, "t_score", number),
        age=_number(cells, "age", number),
        sex=_sex(cells.get("sex", ""), number),
        bmi=_number(cells, "bmi", number),
        logit=_number(cells, "logit", number),
        severity_logit=_number(cells, "severity_logit", number),
        t_score_pred=_number(cells, "t_score_pred", number),
        family=cells.get("family") or None,
        size=_size(cells.get(SIZE, ""), number),
        refused=cells.get(_REFUSED, ""),
    )


def _number(cells: Mapping[str, str], column: str, row: int) -> float | None:
    text = cells.get(column, "")
    if not text:
        return None
    low, high = _RANGES.get(column, (-math.inf, math.inf))
    try:
        value = float(text)
    except ValueError as error:
        raise PredictionsError(f"row {row}, {column}: no number") from error
    if not math.isfinite(value) or not low <= value <= high:
        raise PredictionsError(f"row {row}, {column}: out of range")
    return value


def _label(text: str, row: int) -> int | None:
    """Also as 1.0, which is what a table with unknown labels becomes in other tools."""
    if not text:
        return None
    if re.fullmatch(r"[0-2](\.0*)?", text) is None:
        raise PredictionsError(f"row {row}, label_cls: 0, 1 or {OSTEOPOROSIS} is expected")
    return int(text[0])


def _sex(text: str, row: int) -> Sex | None:
    match text.upper():
        case "F":
            return "F"
        case "M":
            return "M"
        case "" | "O" | "U":
            return None
    raise PredictionsError(f"row {row}, sex: M, F or empty is expected")


def _size(text: str, row: int) -> tuple[int, int] | None:
    if not text:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,5})x([1-9][0-9]{0,5})", text)
    if found is None:
        raise PredictionsError(f"row {row}, {SIZE}: columns x rows is expected, e.g. 1024x768")
    return int(found[1]), int(found[2])
