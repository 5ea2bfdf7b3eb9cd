"""Predictions of a bundle for labelled films, by the gateway's own road: its decoding, knees, quality flags and preprocessing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from strnet_core.bundle import ModelBundle, PreprocessingSettings
from strnet_core.engines.base import Covariates, Engine, Prediction
from strnet_core.engines.films import read_film
from strnet_core.errors import DecodeError
from strnet_core.evaluation.case import Case
from strnet_core.evaluation.cohort import with_family
from strnet_core.quality import DEFAULT_FLAGS, raised
from strnet_core.survey import Survey, SurveyedKnee, survey

MISSING = "no such image"
_UNREADABLE = "unreadable"


def predict_films(
    labels: Iterable[Case], folder: Path, bundle: ModelBundle, engine: Engine, *, refuse: bool = True
) -> Iterator[tuple[Case, ...]]:
    """For each labelled film the cases of its knees, named FILM#1 and FILM#2 where there are two.

    A knee that the gateway would refuse by its default quality flags has no prediction, and says which flag; `refuse=False` assesses
    it all the same. A film that is missing or cannot be read is one case that says so.
    """
    for label in labels:
        try:
            seen, size = _seen(folder / label.image, bundle.preprocessing)
        except DecodeError as error:
            yield (replace(label, refused=f"{_UNREADABLE}: {error.code}"),)
        except FileNotFoundError:
            yield (replace(label, refused=MISSING),)
        else:
            yield _cases(replace(label, size=label.size or size), seen, engine, refuse=refuse)


def is_lost(case: Case) -> bool:
    """Whether the film of a labelled case is missing or unreadable, which is not a judgement of its quality."""
    return case.refused == MISSING or case.refused.startswith(_UNREADABLE)


def _seen(film: Path, settings: PreprocessingSettings) -> tuple[Survey, tuple[int, int]]:
    if not film.is_file():
        raise FileNotFoundError(film.name)
    radiograph = read_film(film, settings)
    rows, columns = radiograph.words.shape
    return survey(radiograph, settings), (columns, rows)


def _cases(label: Case, seen: Survey, engine: Engine, *, refuse: bool) -> tuple[Case, ...]:
    several = len(seen.knees) > 1
    named = [
        replace(
            label, image=f"{label.image}#{knee.position}" if several else label.image, group=label.cluster, refused=_refusal(seen, knee)
        )
        for knee in seen.knees
    ]
    asked = [number for number, case in enumerate(named) if not (refuse and case.refused)]
    if not asked:
        return tuple(map(with_family, named))
    images = np.stack([seen.knees[number].image for number in asked])
    predictions = dict(zip(asked, engine.predict(images, (_covariates(label),) * len(asked)), strict=True))
    return tuple(with_family(_predicted(case, predictions.get(number))) for number, case in enumerate(named))


def _predicted(case: Case, prediction: Prediction | None) -> Case:
    if prediction is None:
        return case
    return replace(
        case, refused="", logit=prediction.screening_logit, severity_logit=prediction.severity_logit, t_score_pred=prediction.t_score
    )


def _refusal(seen: Survey, knee: SurveyedKnee) -> str:
    codes = [code for code in raised({**seen.measures, **knee.measures}) if DEFAULT_FLAGS[code].action == "refuse"]
    return f"quality: {', '.join(codes)}" if codes else ""


def _covariates(case: Case) -> Covariates | None:
    if case.age is None or case.sex is None or case.bmi is None:
        return None
    return Covariates(age_years=case.age, sex=case.sex, bmi=case.bmi)
