"""A finished run becomes a bundle that every engine can load, in full or in half precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from strnet_core.bundle import IntendedUse, PreprocessingSettings, card_text, load_bundle, read_weights
from strnet_core.cli.main import app
from strnet_core.engines import checkpoint_import
from strnet_core.engines.golden_vectors import GOLDEN_PHANTOMS
from strnet_core.engines.half_precision import halved
from strnet_core.engines.torch_engine import open_torch_engine
from strnet_core.engines.verification import verify_bundle
from strnet_core.errors import ArchitectureError
from strnet_core.network.build import PARAMETERS
from strnet_core.training import bundle_of_run, run
from strnet_core.training.execution import Execution
from strnet_core.training.run_folder import Sources
from strnet_core.training.settings import OptimisationSettings, PlanSettings, TrainingSettings
from tests.unit.strnet_core.training.conftest import Onlooker, read_rows, write_labels


@pytest.fixture(scope="module")
def trained(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """STR-Net itself after two steps."""
    import torch

    data = tmp_path_factory.mktemp("data")
    (data / "images").symlink_to(phantoms / "images")
    write_labels(data / "labels.csv", [dict(row) for row in read_rows(phantoms / "labels.csv")[:8]])
    settings = TrainingSettings(
        preprocessing=PreprocessingSettings(size_px=64),
        duplicate_distance=0,
        optimisation=OptimisationSettings(batch_size=4, max_epochs=1),
        plan=PlanSettings(kind="all"),
    )
    folder = tmp_path_factory.mktemp("trained") / "run"
    assert run.start(folder, settings, Sources(data=(data,)), Execution(device=torch.device("cpu")), Onlooker()).is_complete
    assert not (folder / "predictions.csv").exists()
    return folder


def from_run(*words: object):
    return CliRunner().invoke(app, ["bundle", "from-run", *map(str, words)])


@pytest.mark.long
def test_half_precision_halves_the_file_and_tells_what_it_costs(trained, phantoms, tmp_path, monkeypatch):
    for module in (checkpoint_import, bundle_of_run):
        monkeypatch.setattr(module, "GOLDEN_PHANTOMS", GOLDEN_PHANTOMS[:1])
    (tmp_path / "card.md").write_text("## Data\n\nPhantoms.\n")
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "p1-L.png").symlink_to(phantoms / "images" / "p1-L.png")
    options = (
        "--half",
        "--films",
        tmp_path / "films",
        "--card",
        tmp_path / "card.md",
        "--provenance",
        "phantoms",
        "--threshold-origin",
        "run 7",
    )
    result = from_run(trained, tmp_path / "bundle", "--threshold", 0.44, *options)
    assert result.exit_code == 0, result.output
    assert "float16 against float32 on 2 knees" in result.output
    assert (tmp_path / "bundle" / "weights.safetensors").stat().st_size < 50e6
    bundle = load_bundle(tmp_path / "bundle")
    assert (bundle.screening_threshold, bundle.parameters, bundle.intended_use) == (0.44, PARAMETERS, IntendedUse.DEMONSTRATION)
    assert bundle.threshold_origin.startswith("screening: given at import (run 7);")
    assert bundle.preprocessing.size_px == 64
    assert "Phantoms." in card_text(bundle)
    assert "stored in float16" in card_text(bundle)
    weights = read_weights(bundle)
    assert {array.dtype for array in weights.values() if array.ndim > 1} == {np.dtype(np.float16)}
    engine = open_torch_engine(bundle, device="cpu")
    assert verify_bundle(bundle, engine).vectors == 1


@pytest.mark.long
def test_a_bundle_is_made_only_of_what_it_can_hold(trained, tmp_path):
    assert from_run(trained, tmp_path / "bundle").exit_code == 2
    missing = from_run(trained, tmp_path / "bundle", "--no-threshold", "--fold", 3)
    assert (missing.exit_code, "fold-3" in missing.output) == (1, True)
    protocol = trained / "protocol.json"
    former = protocol.read_text()
    try:
        protocol.write_text(former.replace('"resnet50"', '"resnet18"'))
        other = from_run(trained, tmp_path / "bundle", "--no-threshold")
    finally:
        protocol.write_text(former)
    assert (other.exit_code, "not STR-Net's architecture" in other.output) == (1, True)
    with (trained / "fold-0" / "model.safetensors").open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\x01")
    changed = from_run(trained, tmp_path / "bundle", "--no-threshold")
    assert (changed.exit_code, "is not the file" in changed.output) == (1, True)


def test_weights_beyond_half_precision_are_refused_and_norms_are_left_alone():
    weights = {"norm": np.array([1e6], np.float32), "kernel": np.array([[1.0]], np.float32)}
    assert halved(weights)["norm"].dtype == np.float32
    with pytest.raises(ArchitectureError, match="kernel"):
        halved({**weights, "kernel": np.array([[1e6]], np.float32)})


@pytest.mark.parametrize(
    ("fit", "told"),
    [
        ({"unknown_patients": 0}, "Splits are by patient and duplicate."),
        ({"unknown_patients": 7}, "Splits are by film and duplicate; the patient of 7 knees is unknown."),
        ({}, "Splits are by film and duplicate, and by patient where the data told one."),
    ],
)
def test_the_card_claims_a_split_by_patient_only_where_patients_are_known(fit, told):
    assert bundle_of_run._split(fit) == told
