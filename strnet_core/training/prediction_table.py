"""Out-of-sample predictions as a table: what `strnet evaluate` reads."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from strnet_core.training.knee_set import Knee
from strnet_core.training.splits import Indices
from strnet_core.training.stepping import Predicted

COLUMNS = (
    "image", "patient_id", "group", "fold", "label_cls", "t_score", "age", "sex", "bmi", "logit", "severity_logit", "t_score_pred",
    "family",
)  # fmt: skip
"""Empty where unknown. `logit` is the screening head's, `group` the patient's and duplicates', `fold` the fit that did not train on it."""
SIZE = "source_size"
"""Columns x rows of the film as it came, `1024x768`: beside the columns above in the predictions of a training."""

Row = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoldPredictions:
    """What one fit says of knees that it was not trained on."""

    fold: int
    places: Indices
    predicted: Predicted


def prediction_rows(knees: Sequence[Knee], predictions: FoldPredictions) -> list[Row]:
    """One per knee, in the order of the places. A T-score is told only where the covariates it needs are known."""
    rows = []
    for number, place in enumerate(predictions.places):
        knee, predicted = knees[place], predictions.predicted
        rows.append(
            {
                **knee_row(knee),
                SIZE: "" if knee.source_size is None else "{}x{}".format(*knee.source_size),
                "fold": str(predictions.fold),
                "logit": told(predicted.screening[number]),
                "severity_logit": told(predicted.severity[number]),
                "t_score_pred": told(predicted.t_score[number]) if knee.has_covariates else "",
            }
        )
    return rows


def knee_row(knee: Knee) -> Row:
    """What is known of a knee before any prediction."""
    film = knee.film
    return {
        "image": knee.name,
        "patient_id": film.patient_id,
        "group": knee.group,
        "label_cls": str(film.label),
        "t_score": told(film.t_score),
        "age": told(film.age_years),
        "sex": film.sex or "",
        "bmi": told(film.bmi),
        "family": knee.family,
    }


def to_csv(rows: Iterable[Row], columns: Sequence[str] = COLUMNS) -> bytes:
    """UTF-8 with a header. Raises ValueError where a row has other columns."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def from_csv(content: bytes) -> list[Row]:
    """The rows of `to_csv`."""
    return list(csv.DictReader(io.StringIO(content.decode())))


def told(value: float | None) -> str:
    """The shortest text that reads back to the same float64; empty for None and NaN."""
    return "" if value is None or math.isnan(value) else repr(float(value))
