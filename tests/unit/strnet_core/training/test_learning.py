"""Training learns what is there to learn, and nothing where there is nothing."""

from __future__ import annotations

import random
from pathlib import Path
from statistics import fmean

import pytest

from strnet_core.bundle import PreprocessingSettings
from strnet_core.training import run
from strnet_core.training.execution import Execution
from strnet_core.training.run import HeldOut
from strnet_core.training.run_folder import Sources
from strnet_core.training.settings import OptimisationSettings, PlanSettings, TrainingSettings
from tests.unit.strnet_core.training.conftest import Onlooker, read_rows, write_labels

SETTINGS = TrainingSettings(
    # small and quick; phantoms of one pose look alike to a perceptual hash
    backbone="alexnet",
    preprocessing=PreprocessingSettings(size_px=64),
    duplicate_distance=0,
    optimisation=OptimisationSettings(learning_rate=3e-4, batch_size=8, max_epochs=3),
    plan=PlanSettings(kind="folds", folds=2, validation_parts=3),
)


def shuffled(phantoms: Path, folder: Path) -> Path:
    """The same films, with labels that were dealt out anew, by patient."""
    rows = read_rows(phantoms / "labels.csv")
    labels = {row["patient_id"]: row["label_cls"] for row in rows}
    dealt = list(labels.values())
    random.Random(3).shuffle(dealt)
    anew = dict(zip(labels, dealt, strict=True))
    folder.mkdir()
    (folder / "images").symlink_to(phantoms / "images")
    write_labels(folder / "labels.csv", [{**row, "label_cls": anew[row["patient_id"]]} for row in rows])
    return folder


def held_out(data: Path, folder: Path, execution: Execution) -> HeldOut:
    outcome = run.start(folder, SETTINGS, Sources(data=(data,)), execution, Onlooker())
    assert outcome.is_complete
    assert outcome.held_out is not None
    assert len(read_rows(folder / "predictions.csv")) == outcome.knees
    return outcome.held_out


def test_a_planted_density_signal_is_learned_out_of_sample(phantoms, tmp_path, execution):
    figures = held_out(phantoms, tmp_path / "run", execution)
    assert min(figures.aurocs) > 0.95
    first = read_rows(tmp_path / "run" / "predictions.csv")[0]
    assert list(first) == [
        "image", "patient_id", "group", "fold", "label_cls", "t_score", "age", "sex", "bmi", "logit", "severity_logit", "t_score_pred",
        "family", "source_size",
    ]  # fmt: skip
    assert first["source_size"] == "148x176"


def test_shuffled_labels_are_not_learned(phantoms, tmp_path, execution):
    figures = held_out(shuffled(phantoms, tmp_path / "data"), tmp_path / "run", execution)
    assert fmean(figures.aurocs) == pytest.approx(0.5, abs=0.2)
