"""A run that is stopped or killed and gone on with comes to the same weights and tables, to the bit."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from strnet_core.bundle import PreprocessingSettings
from strnet_core.cli.main import app
from strnet_core.errors import TrainingRunError, TrainingSettingsError
from strnet_core.training import run, run_folder
from strnet_core.training.initial_weights import sha256_of
from strnet_core.training.run_folder import Sources
from strnet_core.training.settings import OptimisationSettings, PlanSettings, TrainingSettings
from tests.unit.strnet_core.training.conftest import Onlooker, read_rows, write_labels

# batch norm, dropout, a plateau that is reached and all losses: everything that has a state
SETTINGS = TrainingSettings(
    backbone="shufflenet_v2_x0_5",
    preprocessing=PreprocessingSettings(size_px=48),
    duplicate_distance=0,
    optimisation=OptimisationSettings(learning_rate=1e-3, batch_size=4, max_epochs=3, plateau_patience=0),
    plan=PlanSettings(kind="folds", folds=2, validation_parts=2),
)


@pytest.fixture(scope="module")
def few(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty films of twenty patients."""
    folder = tmp_path_factory.mktemp("few")
    (folder / "images").symlink_to(phantoms / "images")
    write_labels(folder / "labels.csv", [dict(row) for row in read_rows(phantoms / "labels.csv")[:40]])
    return folder


@pytest.fixture(scope="module")
def whole(few: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    from strnet_core.training.execution import Execution

    folder = tmp_path_factory.mktemp("whole") / "run"
    torch.set_num_threads(1)
    assert run.start(
        folder, SETTINGS, Sources(data=(few,)), Execution(device=torch.device("cpu"), loader_threads=2), Onlooker()
    ).is_complete
    return folder


def digests(folder: Path) -> dict[str, str]:
    """Of all that does not hold a time."""
    names = ["predictions.csv", "validation.csv", "knees.csv", "protocol.json"]
    names += [f"fold-{fold}/{name}" for fold in (0, 1) for name in ("model.safetensors", "fit.json", "predictions.csv")]
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


def test_a_run_that_is_stopped_in_epochs_and_between_folds_ends_as_if_it_was_not(few, whole, tmp_path, execution):
    folder = tmp_path / "run"
    outcome = run.start(folder, SETTINGS, Sources(data=(few,)), execution, Onlooker(stop_after=1))
    assert not outcome.is_complete
    assert (folder / "fold-0" / "state.safetensors").exists()
    stops = 1
    while not outcome.is_complete:
        outcome = run.resume(folder, execution, Onlooker(stop_after=4))
        stops += 1
    assert stops > 4
    assert digests(folder) == digests(whole)
    assert not list(folder.rglob("state.safetensors"))
    rows = [read_rows(each / "fold-1" / "history.csv") for each in (folder, whole)]
    assert [{**row, "seconds": ""} for row in rows[0]] == [{**row, "seconds": ""} for row in rows[1]]
    assert (folder / "fold-1" / "history.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.long
def test_a_run_that_is_killed_goes_on_from_its_last_state(few, whole, tmp_path, execution):
    class Killed(Onlooker):
        def stepped(self, fold: int, epoch: int, step: int, steps: int) -> None:
            if (fold, epoch, step) == (1, 2, 2):
                raise KeyboardInterrupt

    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run.start(folder, SETTINGS, Sources(data=(few,)), replace(execution, checkpoint_seconds=0.0), Killed())
    # a write that the kill cut
    (folder / "fold-1" / "state.safetensors.part").write_bytes(b"half")
    assert run.resume(folder, execution, Onlooker()).is_complete
    assert digests(folder) == digests(whole)


def test_resuming_a_finished_run_trains_nothing(few, whole, execution):
    watch = Onlooker()
    assert run.resume(whole, execution, watch).is_complete
    assert watch.steps == 0


def test_parts_share_no_patient_and_every_knee_is_held_out_once(whole):
    rows = read_rows(whole / "knees.csv")
    for fold in (0, 1):
        patients = [{row["patient_id"] for row in rows if row["parts"].split()[fold] == part} for part in ("train", "validation", "test")]
        assert not patients[0] & patients[1] | patients[0] & patients[2] | patients[1] & patients[2]
    assert sorted(row["image"] for row in read_rows(whole / "predictions.csv")) == sorted(row["image"] for row in rows)


def test_a_run_refuses_changed_data_a_damaged_protocol_and_a_folder_in_use(few, tmp_path, execution):
    data, folder = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    (data / "images").symlink_to(few / "images")
    rows = read_rows(few / "labels.csv")
    write_labels(data / "labels.csv", [dict(row) for row in rows])
    run.start(folder, SETTINGS, Sources(data=(data,)), execution, Onlooker(stop_after=1))
    with run_folder.locked(folder), pytest.raises(TrainingRunError, match="another process"):
        run.resume(folder, execution, Onlooker())
    write_labels(data / "labels.csv", [{**row, "age": "51"} for row in rows])
    with pytest.raises(TrainingRunError, match="no longer what the run was begun with"):
        run.resume(folder, execution, Onlooker())
    (folder / "protocol.json").write_text((folder / "protocol.json").read_text().replace('"seed": 42,', ""))
    with pytest.raises(TrainingSettingsError, match="seed"):
        run.resume(folder, execution, Onlooker())
    with pytest.raises(TrainingRunError, match="not empty"):
        run.start(folder, SETTINGS, Sources(data=(data,)), execution, Onlooker())


def test_the_command_ends_after_its_minutes_with_the_line_that_goes_on(few, tmp_path):
    def strnet(*words: object) -> str:
        result = CliRunner().invoke(app, ["train", *map(str, words)])
        assert result.exit_code == 0, result.output
        return result.output

    folder = tmp_path / "a run"
    options = "--plan folds --folds 2 --no-validation --backbone shufflenet_v2_x0_5 --size 48 --epochs 1 --batch 8 --arithmetic bfloat16"
    told = strnet(folder, "--data", few, "--minutes", 0, "--threads", 1, *options.split())
    again = re.search(r"go on with: strnet train '([^']+)' --resume", told)
    assert again is not None
    assert again[1] == str(folder)
    assert "held out, all fits together: AUROC" in strnet(folder, "--resume", "--threads", 1)
    assert json.loads((folder / "fold-0" / "fit.json").read_text())["epochs"] == 1
    refused = CliRunner().invoke(app, ["train", str(folder), "--resume", "--epochs", "2"])
    assert refused.exit_code == 2


def test_knees_of_unknown_patients_are_told_before_training_and_in_the_fit(few, tmp_path, execution):
    data, folder = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    (data / "images").symlink_to(few / "images")
    rows = read_rows(few / "labels.csv")
    write_labels(data / "labels.csv", [{**row, "patient_id": row["patient_id"] if place > 2 else ""} for place, row in enumerate(rows)])
    settings = replace(SETTINGS, plan=PlanSettings(kind="all"), optimisation=replace(SETTINGS.optimisation, max_epochs=1))
    watch = Onlooker()
    assert run.start(folder, settings, Sources(data=(data,)), execution, watch).is_complete
    assert watch.unknown == [(3, 40)]
    assert json.loads((folder / "fold-0" / "fit.json").read_text())["unknown_patients"] == 3


def test_initial_weights_are_needed_to_go_on_and_not_to_read_what_was_begun(tmp_path, execution):
    weights, folder = tmp_path / "w.safetensors", tmp_path / "run"
    weights.write_bytes(b"1")
    settings = replace(SETTINGS, initial_weights=sha256_of(weights))
    run_folder.begin(folder, settings, Sources(data=(tmp_path,), initial_weights=weights))
    weights.unlink()
    assert run_folder.begun_with(folder)[0] == settings
    with pytest.raises(TrainingSettingsError, match="initial weights"):
        run.resume(folder, execution, Onlooker())
