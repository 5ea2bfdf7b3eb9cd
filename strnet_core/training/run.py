"""A whole run: data, parts, one fit after the other, predictions of what each was not trained on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from strnet_core.bundle.durable_file import write_durably
from strnet_core.training import run_folder
from strnet_core.training.batches import Loader
from strnet_core.training.data_folders import read_data
from strnet_core.training.execution import Execution, Watch
from strnet_core.training.fitting import STATE, Fitted, areas, fit, load_kept
from strnet_core.training.history import PLOT, plot_history
from strnet_core.training.knee_set import KneeSet, prepare
from strnet_core.training.prediction_table import COLUMNS, SIZE, FoldPredictions, Row, from_csv, prediction_rows, to_csv
from strnet_core.training.settings import TrainingSettings
from strnet_core.training.splits import Part, split
from strnet_core.training.stepping import predict

_COLUMNS = (*COLUMNS, SIZE)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """A first look at the predictions of what was held out; `strnet evaluate` has the figures to report."""

    auprc: float
    """Of all fits' predictions together."""
    auroc: float
    """Likewise. Far below the fits' own where their logits lie at different levels, as those of a few short fits do."""
    aurocs: tuple[float, ...]
    """Of each fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """Where a run stands."""

    done: tuple[int, ...]
    """Fits at their end."""
    fits: int
    knees: int
    left_out: int
    held_out: HeldOut | None
    """None before the end, and where nothing is held out."""

    @property
    def is_complete(self) -> bool:
        return len(self.done) == self.fits


def start(folder: Path, settings: TrainingSettings, sources: run_folder.Sources, execution: Execution, watch: Watch) -> RunOutcome:
    """Begin a run in an empty folder and train until it ends or `watch` stops it. Raises TrainingError subclasses."""
    run_folder.begin(folder, settings, sources)
    return resume(folder, execution, watch)


def resume(folder: Path, execution: Execution, watch: Watch) -> RunOutcome:
    """Go on where a run was stopped or killed, in the midst of an epoch or of a cross-validation; at its end nothing is done.

    Raises TrainingError subclasses.
    """
    with run_folder.locked(folder):
        settings, sources = run_folder.begun_with(folder)
        run_folder.check_initial_weights(settings, sources)
        execution = replace(execution, initial_weights=sources.initial_weights)
        reading = read_data(sources.data, sources.patient_pattern, separate_patients=sources.separate_patients)
        data = prepare(reading.films, settings, execution.loader_threads, watch.prepared)
        data = replace(data, left_out=(*reading.left_out, *data.left_out))
        if data.unknown_patients:
            watch.patients_unknown(data.unknown_patients, len(data.knees))
        parts = split(data.knees, settings.plan, settings.seed)
        run_folder.record_knees(folder, data, parts)
        done: list[int] = []
        for part in parts:
            if not _fitted(folder, data, part, settings, execution, watch):
                return _outcome(data, parts, done, None)
            done.append(part.fold)
        return _outcome(data, parts, done, _pooled(folder, parts))


def _outcome(data: KneeSet, parts: Sequence[Part], done: Sequence[int], held_out: HeldOut | None) -> RunOutcome:
    return RunOutcome(done=tuple(done), fits=len(parts), knees=len(data.knees), left_out=len(data.left_out), held_out=held_out)


def _fitted(folder: Path, data: KneeSet, part: Part, settings: TrainingSettings, execution: Execution, watch: Watch) -> bool:
    """Whether this fit is at its end, now or before."""
    inner = run_folder.fold_folder(folder, part.fold)
    if (inner / run_folder.FIT).exists():
        return True
    fitted = fit(inner, data, part, settings, execution, watch)
    if fitted is None:
        return False
    _finish(inner, data, part, settings, execution, fitted)
    return True


def _finish(inner: Path, data: KneeSet, part: Part, settings: TrainingSettings, execution: Execution, fitted: Fitted) -> None:
    """Predict in float32, as a bundle's reference engine does, and put away what is needed no more; fit.json comes last."""
    trainee = load_kept(settings, fitted.weights, execution.device)
    with Loader(data, settings, execution.loader_threads) as loader:
        for name, places in ((run_folder.PREDICTIONS, part.test), (run_folder.VALIDATION, part.validation)):
            if places.size:
                predicted = predict(trainee, loader, places, execution.device, settings, "float32")
                rows = prediction_rows(data.knees, FoldPredictions(fold=part.fold, places=places, predicted=predicted))
                write_durably(inner / name, to_csv(rows, _COLUMNS))
    plot_history(fitted.place.history, inner / PLOT)
    weights = fitted.weights.read_bytes()
    write_durably(inner / run_folder.MODEL, weights)
    document = {
        "fold": part.fold,
        "epochs": fitted.place.epoch,
        "ended": fitted.place.ended,
        "kept_epoch": (fitted.place.best_epoch or 0) + 1,
        "validation_auprc": fitted.place.best_auprc,
        "knees": {"train": len(part.train), "validation": len(part.validation), "test": len(part.test)},
        "unknown_patients": data.unknown_patients,
        "model_sha256": hashlib.sha256(weights).hexdigest(),
    }
    write_durably(inner / run_folder.FIT, f"{json.dumps(document, indent=2)}\n".encode())
    fitted.weights.unlink()
    (inner / STATE).unlink(missing_ok=True)


def _pooled(folder: Path, parts: Sequence[Part]) -> HeldOut | None:
    """Write the fits' tables as one each, and look at what was held out."""
    _joined(folder, run_folder.VALIDATION, [part for part in parts if part.validation.size])
    tables = _joined(folder, run_folder.PREDICTIONS, [part for part in parts if part.test.size])
    if not tables:
        return None
    auprc, auroc = _areas_of([row for table in tables for row in table])
    return HeldOut(auprc=auprc, auroc=auroc, aurocs=tuple(_areas_of(table)[1] for table in tables))


def _joined(folder: Path, name: str, parts: Sequence[Part]) -> list[list[Row]]:
    tables = [from_csv((run_folder.fold_folder(folder, part.fold) / name).read_bytes()) for part in parts]
    if tables:
        write_durably(folder / name, to_csv((row for table in tables for row in table), _COLUMNS))
    return tables


def _areas_of(rows: Sequence[Row]) -> tuple[float, float]:
    return areas(np.array([float(row["label_cls"] != "0") for row in rows]), np.array([float(row["logit"]) for row in rows]))
