"""Films to cases by the gateway's road, with an engine that only counts: which knees are asked, what each case is called."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from strnet_core.engines.base import Prediction
from strnet_core.evaluation import Case
from strnet_core.evaluation.bundle_cases import is_lost, predict_films
from strnet_core.phantom import PhantomParameters, draw


class Counting:
    """Answers with the number of the knee; remembers what it was asked."""

    profile = "counting"
    batch = 8

    def __init__(self):
        self.covariates = []

    def predict(self, images, covariates):
        self.covariates += covariates
        return tuple(
            Prediction(screening_logit=float(n), severity_logit=-1.0, t_score=-2.0, saliency=np.zeros((16, 16), np.float32), profile="x")
            for n in range(1, len(images) + 1)
        )


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    drawn = {"one.png": ("ap", 1, 500), "two.png": ("ap", 2, 900), "chest.png": ("chest", 1, 500)}
    for name, (view, knees, columns) in drawn.items():
        stored = draw(PhantomParameters(view=view, knees=knees, rows=600, columns=columns, marker=False), 4)
        cv2.imwrite(str(folder / name), (stored >> 4).astype(np.uint8))
    (folder / "bad.png").write_bytes(b"rubbish")
    return folder


def predicted(films, bundle, *names, refuse=True):
    engine = Counting()
    labels = [Case(image=name, patient_id=name[0], label_cls=1, age=61.0, sex="F", bmi=26.0) for name in names]
    return [case for film in predict_films(labels, films, bundle, engine, refuse=refuse) for case in film], engine


def test_each_knee_of_a_film_is_a_case_of_its_patient(films, demonstration):
    cases, engine = predicted(films, demonstration, "two.png", "one.png")
    assert [case.image for case in cases] == ["two.png#1", "two.png#2", "one.png"]
    assert [case.logit for case in cases] == [1.0, 2.0, 1.0]
    assert [(case.cluster, case.label_cls, case.t_score_pred) for case in cases] == [("t", 1, -2.0), ("t", 1, -2.0), ("o", 1, -2.0)]
    assert [(case.size, case.family) for case in cases] == [((900, 600), "wide"), ((900, 600), "wide"), ((500, 600), "tall")]
    assert engine.covariates[0].age_years == 61.0


def test_what_the_gateway_would_refuse_has_no_prediction_and_says_why(films, demonstration):
    (chest,), engine = predicted(films, demonstration, "chest.png")
    assert chest.logit is None
    assert "not_a_knee" in chest.refused
    assert not is_lost(chest)
    assert engine.covariates == []
    (asked,), _ = predicted(films, demonstration, "chest.png", refuse=False)
    assert (asked.logit, asked.refused) == (1.0, "")


def test_a_film_that_is_missing_or_unreadable_is_a_case_that_says_so(films, demonstration):
    cases, _ = predicted(films, demonstration, "none.png", "bad.png")
    assert [case.refused for case in cases] == ["no such image", "unreadable: unreadable"]
    assert all(map(is_lost, cases))
