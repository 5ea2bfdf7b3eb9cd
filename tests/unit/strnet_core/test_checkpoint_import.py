"""`strnet bundle import`: the authors' checkpoint layout, taken over exactly or refused by name."""

from __future__ import annotations

import json
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from strnet_core import errors
from strnet_core.bundle import IntendedUse, ModelBundle, card_text, load_bundle, read_golden, read_weights
from strnet_core.bundle.card import discrepancies
from strnet_core.cli.main import app
from strnet_core.engines import checkpoint_import
from strnet_core.engines.base import Covariates, Engine
from strnet_core.engines.checkpoint_import import ImportChoices, import_checkpoint
from strnet_core.engines.golden_vectors import GOLDEN_PHANTOMS
from strnet_core.engines.import_threshold import ThresholdChoice, choose_threshold
from strnet_core.engines.torch_engine import open_torch_engine
from strnet_core.engines.verification import verify_bundle
from strnet_core.network.checkpoint import read_checkpoint
from strnet_core.network.key_map import expected_shapes, map_weights
from strnet_core.network.strnet import StrNet

# what stepping from 0.20 by 0.01 arrives at: the authors' own rounding noise
STORED = np.arange(0.20, 0.80 + 1e-9, 0.01)[24]


@pytest.fixture(scope="module")
def state(network: StrNet) -> OrderedDict[str, torch.Tensor]:
    return OrderedDict(network.state_dict())


@pytest.fixture(scope="module")
def zeros() -> dict[str, torch.Tensor]:
    """All names with tensors that take no memory."""
    return {
        name: torch.zeros((), dtype=torch.int64 if name.endswith("num_batches_tracked") else torch.float32).expand(shape)
        for name, shape in expected_shapes().items()
    }


@pytest.fixture
def one_golden_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_import, "GOLDEN_PHANTOMS", GOLDEN_PHANTOMS[:1])


def run(*words: object):
    return CliRunner().invoke(app, ["bundle", "import", *map(str, words)])


def saved(path: Path, content: object, **options: object) -> Path:
    torch.save(content, path, **options)
    return path


def test_a_checkpoint_of_the_authors_layout_gives_the_same_predictions(
    state, demonstration: ModelBundle, engine: Engine, tmp_path, one_golden_vector
):
    assert repr(float(STORED)) == "0.4400000000000002"
    path = saved(tmp_path / "best.pth", {"model": state, "best_threshold": STORED})
    result = run(path, tmp_path / "bundle", "--provenance", "a lab", "--licence", "for us alone")
    assert result.exit_code == 0, result.output
    assert "0.4400000000000002" in result.output
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.intended_use is IntendedUse.RESEARCH
    assert bundle.screening_threshold == float(STORED)
    assert bundle.thresholds_weights_sha256 == bundle.weights_sha256 == demonstration.weights_sha256
    assert (bundle.severity_threshold, bundle.evidence, bundle.reference_statistics) == (0.5, "", None)
    imported = open_torch_engine(bundle, device="cpu")
    assert verify_bundle(bundle, imported).vectors == 1
    image = np.random.default_rng(1).integers(0, 256, (1, 512, 512), np.uint8)
    covariates = (Covariates(age_years=70.0, sex="F", bmi=24.0),)
    (mine,), (theirs,) = imported.predict(image, covariates), engine.predict(image, covariates)
    assert (mine.screening_logit, mine.severity_logit, mine.t_score) == (theirs.screening_logit, theirs.severity_logit, theirs.t_score)
    assert np.array_equal(mine.saliency, theirs.saliency)
    text = card_text(bundle)
    assert all(part in text for part in (discrepancies().strip(), "Performance unknown", "a lab", "for us alone", "For research only"))


def test_names_from_data_parallel_in_other_types_and_renamed_are_taken_where_asked(state, tmp_path, one_golden_vector):
    renamed = {"tarr.adapter_screen.0.weight": "tarr.adapters.screen.down.weight", "tarr.gate_severe.bias": "tarr.gates.severe.bias"}
    tensors = {f"module.{renamed.get(name, name)}": tensor for name, tensor in state.items()}
    tensors["module.head.bias"] = tensors["module.head.bias"].double()
    tensors["module.neck.0.bias"] = tensors["module.neck.0.bias"].to(torch.bfloat16)
    path = saved(tmp_path / "best.pth", {"model": tensors, "best_threshold": float(STORED), "epoch": 96, "optimizer": {"lr": 1e-4}})
    (tmp_path / "map.json").write_text(json.dumps({theirs: ours for ours, theirs in renamed.items()}))
    (tmp_path / "settings.json").write_text(json.dumps({"preprocessing": {"antialias": False}, "covariates": {"age_divisor": 90.0}}))
    options = ("--round-threshold", "--to-float32", "--key-map", tmp_path / "map.json", "--settings", tmp_path / "settings.json")
    refused = run(path, tmp_path / "bundle", *options)
    assert refused.exit_code == 1
    assert "epoch, optimizer" in refused.output
    result = run(path, tmp_path / "bundle", *options, "--ignore", "epoch", "--ignore", "optimizer")
    assert result.exit_code == 0, result.output
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.screening_threshold == 0.44
    assert "0.4400000000000002" in bundle.threshold_origin
    assert bundle.preprocessing.antialias is False
    assert bundle.covariates.age_divisor == 90.0
    weights = read_weights(bundle)
    assert set(weights) == set(state)
    assert np.array_equal(weights["tarr.gate_severe.bias"], state["tarr.gate_severe.bias"].numpy())
    assert np.array_equal(weights["head.bias"], state["head.bias"].numpy())
    text = card_text(bundle)
    assert "1 from float64, 1 from bfloat16" in text or "1 from bfloat16, 1 from float64" in text
    assert "DataParallel" in text
    assert "2 tensors were renamed" in text
    assert len(read_golden(bundle).vectors) == 1


def test_the_older_file_format_and_numpys_former_name_are_read(tmp_path):
    content = {"model": {"a": torch.ones(2)}, "best_threshold": STORED}
    old = read_checkpoint(saved(tmp_path / "old.pth", content, _use_new_zipfile_serialization=False))
    assert old.best_threshold == float(STORED)
    new = saved(tmp_path / "new.pth", content)
    with zipfile.ZipFile(new) as archive, zipfile.ZipFile(tmp_path / "renamed.pth", "w") as other:
        for entry in archive.infolist():
            written = archive.read(entry).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
            other.writestr(entry.filename, written)
    assert read_checkpoint(tmp_path / "renamed.pth").best_threshold == float(STORED)
    assert torch.equal(read_checkpoint(tmp_path / "renamed.pth").tensors["a"], torch.ones(2))


class Evil:
    def __reduce__(self):
        return (Path.touch, (Path("evil"),))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"state_dict": {}}, "model"),
        ([1], "model"),
        ({"model": {"a": torch.ones(1)}, "best_threshold": 0.4, "epoch": 3}, "epoch"),
        ({"model": {"a": 1.0}}, "no tensors: a"),
        ({"model": {"a": torch.ones(2).to_sparse()}}, "sparse"),
        ({"model": {"module.a": torch.ones(1), "b": torch.ones(1)}}, "module."),
        ({"model": {"a": torch.ones(1)}, "best_threshold": "0.44"}, "str"),
        ({"model": {"a": torch.ones(1)}, "best_threshold": True}, "bool"),
        ({"model": {"a": torch.ones(1)}, "best_threshold": torch.ones(2)}, "Tensor"),
        ({"model": Evil()}, "no checkpoint of tensors"),
    ],
)
def test_another_layout_is_refused_and_runs_nothing(content, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.CheckpointError, match=named):
        read_checkpoint(saved(tmp_path / "best.pth", content))
    assert not (tmp_path / "evil").exists()


def test_rubbish_is_refused_also_on_the_command_line(tmp_path):
    for content in (b"", b"rubbish", b"PK\x03\x04 cut"):
        (tmp_path / "best.pth").write_bytes(content)
        result = run(tmp_path / "best.pth", tmp_path / "bundle")
        assert result.exit_code == 1
        assert result.output.startswith("checkpoint: ")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("change", "key_map", "named"),
    [
        ({"head.bias": None}, {}, "missing: head.bias; left over: none"),
        ({"surplus": torch.ones(1)}, {}, "missing: none; left over: surplus"),
        ({"head.bias": None, "head.biases": torch.ones(1)}, {}, "missing: head.bias; left over: head.biases"),
        ({"head.bias": torch.ones(2)}, {}, r"head.bias \(2,\) instead of \(1,\)"),
        ({"head.bias": torch.ones(1).half()}, {}, "head.bias float16; --to-float32"),
        ({"head.bias": torch.ones(1).double()}, {}, "head.bias float64; --to-float32"),
        ({"head.bias": torch.ones(1).int()}, {}, "head.bias int32"),
        ({"head.bias": torch.tensor([float("nan")])}, {}, "not finite: head.bias"),
        ({"head.bias": torch.tensor([float("inf")])}, {}, "not finite: head.bias"),
        ({}, {"absent": "head.bias"}, "renames what is not there: absent"),
        ({}, {"head.bias": "nowhere"}, "targets that STR-Net does not have: nowhere"),
        ({}, {"severe_head.bias": "head.bias"}, "two tensors for one name: head.bias"),
    ],
)
def test_weights_that_do_not_fit_exactly_are_named(zeros, change, key_map, named):
    tensors = {name: tensor for name, tensor in {**zeros, **change}.items() if tensor is not None}
    with pytest.raises(errors.CheckpointError, match=named):
        map_weights(tensors, key_map)


@pytest.mark.parametrize("value", [torch.ones(1).int(), torch.tensor([1e300], dtype=torch.float64)])
def test_conversion_is_for_floating_point_numbers_that_stay_finite(zeros, value):
    with pytest.raises(errors.CheckpointError, match=r"head\.bias"):
        map_weights({**zeros, "head.bias": value}, {}, to_float32=True)


def test_the_default_map_names_every_tensor_of_the_network(state):
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == expected_shapes()
    assert sum(name.startswith("tarr.") for name in state) == 28


@pytest.mark.parametrize(
    ("stored", "choice", "value", "words"),
    [
        (float(STORED), ThresholdChoice(), float(STORED), "unchanged"),
        (float(STORED), ThresholdChoice(rounded=True), 0.44, "0.4400000000000002, rounded"),
        (float(STORED), ThresholdChoice(given=0.5), 0.5, "given at import; the checkpoint stored 0.4400000000000002"),
        (None, ThresholdChoice(given=0.5), 0.5, "given at import"),
        (float(STORED), ThresholdChoice(none=True), None, "left out"),
        (None, ThresholdChoice(none=True), None, "left out"),
    ],
)
def test_the_threshold_and_its_origin(stored, choice, value, words):
    chosen = choose_threshold(stored, choice)
    assert chosen.value == value
    assert words in chosen.origin


@pytest.mark.parametrize(
    ("stored", "choice", "named"),
    [
        (None, ThresholdChoice(), "no best_threshold"),
        (None, ThresholdChoice(rounded=True), "no best_threshold"),
        (1.0, ThresholdChoice(), "between 0 and 1"),
        (float("nan"), ThresholdChoice(), "between 0 and 1"),
        (0.4412, ThresholdChoice(rounded=True), "would change the decision"),
        (0.44, ThresholdChoice(given=1.5), "between 0 and 1"),
        (0.44, ThresholdChoice(given=0.5, none=True), "and one too"),
        (0.44, ThresholdChoice(none=True, rounded=True), "and one too"),
        (0.44, ThresholdChoice(given=0.5, rounded=True), "taken as it is"),
    ],
)
def test_a_threshold_that_cannot_be_is_refused(stored, choice, named):
    with pytest.raises(errors.CheckpointError, match=named):
        choose_threshold(stored, choice)


def test_all_points_of_the_authors_grid_lose_their_noise_and_nothing_else():
    grid = np.arange(0.20, 0.80 + 1e-9, 0.01)
    assert len(grid) == 61
    rounded = [choose_threshold(float(point), ThresholdChoice(rounded=True)).value for point in grid]
    assert rounded == [number / 100 for number in range(20, 81)]


def test_clinical_use_without_evidence_and_impossible_severity_are_refused():
    with pytest.raises(errors.CheckpointError, match="evidence"):
        ImportChoices(intended_use=IntendedUse.CLINICAL)
    with pytest.raises(errors.CheckpointError, match="severity"):
        ImportChoices(severity_threshold=0.0)


def test_a_folder_with_a_bundle_is_refused_before_anything_is_read(demonstration: ModelBundle, tmp_path):
    with pytest.raises(errors.BundleExistsError):
        import_checkpoint(tmp_path / "absent.pth", demonstration.folder, ImportChoices())


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"preprocessing": {"size": 1}}, "preprocessing.size"),
        ({"covariates": {"age_divisor": 0.0}}, "age_divisor"),
        ({"thresholds": {}}, "thresholds"),
        ({"preprocessing": 1}, "objects"),
        ([], "object"),
    ],
)
def test_settings_that_say_something_else_are_refused(settings, named, tmp_path):
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    (tmp_path / "best.pth").write_bytes(b"")
    result = run(tmp_path / "best.pth", tmp_path / "bundle", "--settings", tmp_path / "settings.json")
    assert result.exit_code == 1
    assert named in result.output


@pytest.mark.parametrize("words", [("--intended-use", "everything"), ("--key-map", "absent.json"), ("--threshold", "high")])
def test_wrong_use_exits_with_2(words, tmp_path):
    (tmp_path / "best.pth").write_bytes(b"")
    assert run(tmp_path / "best.pth", tmp_path / "bundle", *words).exit_code == 2
