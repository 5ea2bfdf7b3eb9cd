"""Golden vectors: what is noticed, and that the tolerance is far below what wrong weights or preprocessing would change."""

from __future__ import annotations

import copy
import dataclasses
import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from strnet_core import errors
from strnet_core.bundle import (
    Golden,
    ModelBundle,
    PreprocessingSettings,
    Tolerance,
    is_reached,
    load_bundle,
    read_golden,
    read_weights,
)
from strnet_core.cli.main import app
from strnet_core.engines.base import Covariates, Engine, Prediction
from strnet_core.engines.golden_vectors import GOLDEN_PHANTOMS, draw_knees, golden_of
from strnet_core.engines.phantom_images import phantom_image
from strnet_core.engines.torch_engine import TorchEngine, open_torch_engine
from strnet_core.engines.verification import verify_bundle
from tests.unit.strnet_core.bundle_files import copied, edit, edit_golden, make


def first_only(document):
    del document["vectors"][1:]


def changed(**values: object):
    def change(document):
        first_only(document)
        document["vectors"][0].update(values)

    return change


def brighter_map(document):
    first_only(document)
    document["vectors"][0]["saliency"][3][4] += 0.1


def verify_on_the_command_line(folder):
    return CliRunner().invoke(app, ["bundle", "verify", str(folder), "--device", "cpu"])


class Answering:
    """An engine that gives the expected answers, moved."""

    def __init__(self, golden: Golden, profile: str, *, logit: float = 0.0, t_score: float | None = 0.0, saliency: float = 0.0) -> None:
        self.profile = profile
        self._moved = (logit, t_score, saliency)
        self._left = list(golden.vectors)

    def predict(self, images: np.ndarray, covariates: tuple[Covariates | None, ...]) -> tuple[Prediction, ...]:
        vector, (logit, t_score, saliency) = self._left.pop(0), self._moved
        assert covariates == (Covariates(age_years=vector.age_years, sex=vector.sex, bmi=vector.bmi),)
        expected = np.array(vector.saliency, np.float32)
        values = {
            "screening_logit": vector.screening_logit,
            "severity_logit": vector.severity_logit + logit,
            "t_score": None if t_score is None else vector.t_score + t_score,
            "saliency": expected + np.float32(saliency * expected.max()),
            "profile": self.profile,
        }
        known = {field.name for field in dataclasses.fields(Prediction)}
        return (Prediction(**{name: value for name, value in values.items() if name in known}),)


def test_golden_vectors_come_out_within_their_tolerance(demonstration: ModelBundle, engine: Engine):
    verified = verify_bundle(demonstration, engine)
    assert (verified.vectors, verified.arithmetic) == (4, "float32")
    assert verified.max_difference < 1e-3
    assert verified.max_t_score_difference < 1e-3
    assert verified.max_saliency_difference < 1e-3


def test_golden_knees_fall_on_both_sides_of_the_threshold_and_have_maps(demonstration: ModelBundle):
    vectors = read_golden(demonstration).vectors
    assert {is_reached(each.screening_logit, demonstration.screening_threshold) for each in vectors} == {True, False}
    assert all(len(each.saliency) == 16 and max(map(max, each.saliency)) > 0.0 for each in vectors)
    assert {each.sex for each in vectors} == {"M", "F"}


def test_the_demonstration_says_over_what_its_statistics_are(demonstration: ModelBundle):
    statistics = demonstration.reference_statistics
    assert statistics is not None
    assert "synthetic" in statistics.over
    assert statistics.n == 10
    assert statistics.screening_logit.sd == pytest.approx(1.0, abs=0.01)
    assert list(statistics.logit_quantiles) == sorted(statistics.logit_quantiles)
    assert 0.0 < statistics.crop_share.mean < 1.0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (changed(screening_logit=9.0), "a logit"),
        (changed(t_score=9.0), "the T-score"),
        (changed(image_sha256="0" * 64), "8-bit image"),
        (brighter_map, "saliency map"),
        (changed(seed=1), "8-bit image"),
    ],
)
def test_a_changed_golden_vector_is_noticed(demonstration: ModelBundle, engine: Engine, tmp_path, change, named):
    folder = copied(demonstration, tmp_path / "bundle")
    edit_golden(folder, change)
    with pytest.raises(errors.GoldenMismatchError, match=named):
        verify_bundle(load_bundle(folder), engine)
    result = verify_on_the_command_line(folder)
    assert result.exit_code == 1
    assert result.output.startswith("golden_mismatch: ")
    assert named in result.output


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda document: document["vectors"].clear(), errors.BundleSchemaError),
        (lambda document: document["tolerances"].pop("float32"), errors.BundleKeyMissingError),
        (changed(phantom={"side": "Q"}), errors.BundleSchemaError),
        (changed(phantom={"colour": "red"}), errors.BundleSchemaError),
    ],
)
def test_golden_vectors_that_cannot_be_compared_are_refused(demonstration: ModelBundle, engine: Engine, tmp_path, change, expected):
    folder = copied(demonstration, tmp_path / "bundle")
    edit_golden(folder, change)
    with pytest.raises(expected):
        verify_bundle(load_bundle(folder), engine)


@pytest.mark.parametrize(("part", "named"), [("logit", "a logit"), ("t_score", "the T-score"), ("saliency", "the saliency map")])
@pytest.mark.parametrize("arithmetic", ["float32", "bfloat16"])
def test_the_tolerance_is_that_of_the_engines_arithmetic(demonstration: ModelBundle, arithmetic, part, named):
    golden = read_golden(demonstration)
    allowed = getattr(golden.tolerances[arithmetic], part)
    assert verify_bundle(demonstration, Answering(golden, f"any-device-{arithmetic}", **{part: 0.9 * allowed})).vectors == 4
    with pytest.raises(errors.GoldenMismatchError, match=named):
        verify_bundle(demonstration, Answering(golden, f"any-device-{arithmetic}", **{part: 1.1 * allowed}))


def test_an_engine_without_t_score_does_not_pass(demonstration: ModelBundle):
    with pytest.raises(errors.GoldenMismatchError, match="T-score"):
        verify_bundle(demonstration, Answering(read_golden(demonstration), "x-float32", t_score=None))


def test_an_arithmetic_without_tolerance_is_refused(demonstration: ModelBundle):
    with pytest.raises(errors.BundleKeyMissingError, match="int8"):
        verify_bundle(demonstration, Answering(read_golden(demonstration), "openvino-cpu-int8"))


def test_the_tolerance_is_far_below_what_wrong_weights_or_scaling_change(demonstration: ModelBundle, network, engine: Engine):
    knee = draw_knees(GOLDEN_PHANTOMS[:1], read_golden(demonstration).vectors[0].seed, demonstration.preprocessing)[0]
    allowed = read_golden(demonstration).tolerances["float32"]
    (right,) = engine.predict(knee.image.image[np.newaxis], (knee.covariates,))
    # 64 of 2,048 kernels of one layer a tenth too large: far less than another file would differ
    wrong = copy.deepcopy(network)
    with torch.no_grad():
        wrong.backbone[7][0].downsample[0].weight[:64].mul_(1.1)
    (other,) = TorchEngine(wrong, demonstration.preprocessing, torch.device("cpu")).predict(
        knee.image.image[np.newaxis], (knee.covariates,)
    )
    assert abs(other.screening_logit - right.screening_logit) > 5 * allowed.logit
    swapped = dataclasses.replace(demonstration.covariates, male_value=0.0, female_value=1.0)
    (sexes,) = TorchEngine(network, demonstration.preprocessing, torch.device("cpu"), scaling=swapped).predict(
        knee.image.image[np.newaxis], (knee.covariates,)
    )
    assert abs(sexes.t_score - right.t_score) > 5 * allowed.t_score


@pytest.mark.parametrize("change", [{"antialias": False}, {"margin": 0.04}, {"high_percentile": 98.0}, {"keep_aspect": True}])
def test_wrong_preprocessing_changes_the_image_hash_and_the_logits_beyond_the_tolerance(demonstration: ModelBundle, engine: Engine, change):
    golden = read_golden(demonstration)
    vector = golden.vectors[0]
    image = phantom_image(GOLDEN_PHANTOMS[0], vector.seed, PreprocessingSettings(**change))
    assert image.sha256 != vector.image_sha256
    (prediction,) = engine.predict(image.image[np.newaxis], (None,))
    moved = max(abs(prediction.screening_logit - vector.screening_logit), abs(prediction.severity_logit - vector.severity_logit))
    assert moved > 5 * golden.tolerances["float32"].logit


def test_missing_and_extra_tensors_are_refused_also_on_the_command_line(demonstration: ModelBundle, tmp_path):
    weights = read_weights(demonstration)
    for number, (spoilt, named) in enumerate(
        (
            ({name: array for name, array in weights.items() if name != "head.bias"}, "head.bias"),
            ({**weights, "surplus": np.zeros(1, np.float32)}, "surplus"),
        )
    ):
        bundle = make(tmp_path / str(number), weights=spoilt, parameters=demonstration.parameters)
        with pytest.raises(errors.ArchitectureError, match=named):
            open_torch_engine(bundle, device="cpu")
        result = verify_on_the_command_line(bundle.folder)
        assert result.exit_code == 1
        assert result.output.startswith("bundle_architecture: ")
        assert named in result.output


def test_tolerances_grow_with_the_spread_of_the_outputs_and_never_prove_nothing():
    def predictions(spread: float) -> list[Prediction]:
        fields = {"profile": "x"} if "profile" in {field.name for field in dataclasses.fields(Prediction)} else {}
        return [
            Prediction(screening_logit=sign * spread, severity_logit=0.0, t_score=-1.0, saliency=np.ones((16, 16), np.float32), **fields)
            for sign in (-1.0, 1.0)
        ]

    knees = draw_knees(GOLDEN_PHANTOMS[:2], 1, PreprocessingSettings(size_px=64))
    narrow, wide, absurd = (golden_of(knees, predictions(spread)).tolerances["float32"] for spread in (0.1, 4.0, 1e6))
    assert wide == dataclasses.replace(narrow, logit=4.0 * narrow.logit)
    assert absurd.logit == 1.0
    with pytest.raises(ValueError):
        Tolerance(logit=1.5, t_score=0.1, saliency=0.1)


def test_show_prints_what_a_bundle_is_and_refuses_a_spoilt_one(demonstration: ModelBundle, tmp_path):
    show = lambda *words: CliRunner().invoke(app, ["bundle", "show", *map(str, words)])  # noqa: E731
    shown = show(demonstration.folder)
    assert shown.exit_code == 0, shown.output
    for text in (demonstration.weights_sha256, demonstration.bundle_hash, "demonstration", str(demonstration.screening_threshold)):
        assert text in shown.output
    values = json.loads(show(demonstration.folder, "--json").stdout)
    assert values["covariates"]["age_divisor"] == 100.0
    folder = copied(demonstration, tmp_path / "bundle")
    edit(folder, lambda document: document.update(version="2 RANDOM"))
    assert json.loads(show(folder, "--json").stdout)["bundle_hash"] != demonstration.bundle_hash
    edit(folder, lambda document: document.pop("version"))
    assert show(folder).exit_code == 1
