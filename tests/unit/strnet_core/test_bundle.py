from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strnet_core import errors
from strnet_core.bundle import (
    BundleDraft,
    IntendedUse,
    ModelBundle,
    PreprocessingSettings,
    decision_logit,
    is_reached,
    load_bundle,
    read_golden,
    read_weights,
    score,
    write_bundle,
)

WEIGHTS = {"layer.weight": np.arange(12, dtype=np.float32).reshape(3, 4), "layer.count": np.array(3, np.int64)}


def make(folder: Path, **changes: object) -> ModelBundle:
    values = {
        "version": "1",
        "parameters": 12,
        "weights": WEIGHTS,
        "intended_use": IntendedUse.RESEARCH,
        "card": "# card",
        "screening_threshold": 0.44,
        "severity_threshold": 0.5,
        **changes,
    }
    return write_bundle(folder, BundleDraft(**values))


def edit(folder: Path, change) -> None:
    path = folder / "bundle.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_a_written_bundle_is_read_back_as_it_was(tmp_path):
    written = make(tmp_path / "bundle")
    loaded = load_bundle(tmp_path / "bundle")
    assert loaded == written
    assert loaded.screening_threshold == 0.44
    assert loaded.thresholds_weights_sha256 == loaded.weights_sha256
    assert loaded.preprocessing == PreprocessingSettings()
    weights = read_weights(loaded)
    assert {name: array.shape for name, array in weights.items()} == {"layer.weight": (3, 4), "layer.count": ()}
    assert np.array_equal(weights["layer.weight"], WEIGHTS["layer.weight"])
    assert not list((tmp_path / "bundle").rglob("*.part"))
    assert read_golden(loaded.folder) == ()


def test_the_bundle_hash_depends_on_content_and_not_on_layout(tmp_path):
    first = make(tmp_path / "first")
    again = make(tmp_path / "again")
    assert first.bundle_hash == again.bundle_hash
    assert first.device_uid == again.device_uid
    edit(tmp_path / "again", lambda document: None)  # rewritten without indentation
    assert load_bundle(tmp_path / "again").bundle_hash == first.bundle_hash
    for number, change in enumerate(
        ({"screening_threshold": 0.45}, {"preprocessing": PreprocessingSettings(antialias=False)}, {"labels": ("a", "b", "c")},
         {"weights": {**WEIGHTS, "layer.weight": WEIGHTS["layer.weight"] + 1}}, {"evidence": "none"})
    ):  # fmt: skip
        assert make(tmp_path / str(number), **change).bundle_hash != first.bundle_hash


def test_the_device_uid_is_a_uid(tmp_path):
    uid = make(tmp_path / "bundle").device_uid
    assert uid.startswith("2.25.")
    assert uid[5:].isdigit()
    assert len(uid) <= 64


def test_a_flipped_bit_in_the_weights_is_refused(tmp_path):
    bundle = make(tmp_path / "bundle")
    path = bundle.folder / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(errors.WeightsDamagedError):
        load_bundle(bundle.folder)
    with pytest.raises(errors.WeightsDamagedError):
        read_weights(bundle)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda document: document.pop("labels"), "labels"),
        (lambda document: document.update(surprise=1), "surprise"),
        (lambda document: document["thresholds"].update(third=0.5), "thresholds.third"),
        (lambda document: document["thresholds"].pop("severity"), "thresholds.severity"),
        (lambda document: document["thresholds"].update(screening=1.0), "thresholds.screening"),
        (lambda document: document["preprocessing"].update(size=1), "preprocessing.size"),
        (lambda document: document["preprocessing"].update(margin=0.9), "margin"),
        (lambda document: document["preprocessing"].update(antialias=1), "preprocessing.antialias"),
        (lambda document: document.update(intended_use="everything"), "intended_use"),
        (lambda document: document.update(schema=2), "schema"),
        (lambda document: document.update(parameters="12"), "parameters"),
        (lambda document: document.update(labels=["a", 2, "c"]), "labels"),
    ],
)
def test_a_wrong_key_is_refused_and_named(tmp_path, change, named):
    bundle = make(tmp_path / "bundle")
    edit(bundle.folder, change)
    with pytest.raises(errors.BundleSchemaError, match=named):
        load_bundle(bundle.folder)


def test_thresholds_of_other_weights_are_refused(tmp_path):
    bundle = make(tmp_path / "bundle")
    edit(bundle.folder, lambda document: document["thresholds"].update(weights_sha256="0" * 64))
    with pytest.raises(errors.ThresholdUnboundError):
        load_bundle(bundle.folder)


@pytest.mark.parametrize("name", ["weights.pt", "golden/old.PTH", "model.pkl"])
def test_a_pickled_file_anywhere_is_refused(tmp_path, name):
    bundle = make(tmp_path / "bundle")
    (bundle.folder / name).write_bytes(b"\x80\x04.")
    with pytest.raises(errors.PickleInBundleError, match=name):
        load_bundle(bundle.folder)


@pytest.mark.parametrize("name", ["bundle.json", "weights.safetensors"])
def test_a_missing_file_is_refused_and_named(tmp_path, name):
    bundle = make(tmp_path / "bundle")
    (bundle.folder / name).unlink()
    with pytest.raises(errors.BundleMissingError, match=name):
        load_bundle(bundle.folder)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(errors.BundleMissingError):
        load_bundle(tmp_path / "absent")


def test_a_bundle_is_never_overwritten(tmp_path):
    make(tmp_path / "bundle")
    with pytest.raises(errors.BundleExistsError):
        make(tmp_path / "bundle", version="2")


def test_rubbish_instead_of_json_is_refused(tmp_path):
    bundle = make(tmp_path / "bundle")
    for content in (b"{", b"[]", b"\xff"):
        (bundle.folder / "bundle.json").write_bytes(content)
        with pytest.raises(errors.BundleSchemaError):
            load_bundle(bundle.folder)


def test_the_threshold_itself_is_reached_and_the_next_smaller_number_is_not():
    line = decision_logit(0.44)
    assert line == pytest.approx(-0.2411620568, abs=1e-10)
    assert is_reached(line, 0.44)
    assert not is_reached(math.nextafter(line, -math.inf), 0.44)


def test_float32_rounding_of_the_threshold_does_not_move_the_line():
    below = float(np.float32(math.nextafter(decision_logit(0.44), -math.inf)))
    assert is_reached(below, 0.44) == (below >= decision_logit(0.44))


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_a_threshold_outside_of_0_to_1_is_refused(threshold):
    with pytest.raises(ValueError):
        is_reached(0.0, threshold)


def test_a_logit_that_is_no_number_decides_nothing():
    for logit in (math.nan, math.inf):
        with pytest.raises(ValueError):
            is_reached(logit, 0.5)


@given(st.floats(-800, 800), st.floats(-800, 800))
def test_the_score_is_between_0_and_100_and_rises_with_the_logit(one, other):
    assert 0.0 <= score(one) <= 100.0
    if one < other:
        assert score(one) <= score(other)


def test_the_score_does_not_overflow():
    assert score(0.0) == 50.0
    assert score(-1e6) == 0.0
    assert score(1e6) == 100.0


@given(st.floats(0.01, 0.99), st.floats(-5, 5))
def test_decision_and_score_agree_away_from_the_line(threshold, logit):
    if abs(score(logit) / 100 - threshold) > 1e-12:
        assert is_reached(logit, threshold) == (score(logit) / 100 >= threshold)


def test_every_error_has_a_code_of_its_own_and_a_remedy():
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.StrnetError)]
    assert len({error.code for error in classes}) == len(classes)
    assert all(error.__doc__ and error.__doc__.count(".") >= 2 for error in classes if error is not errors.StrnetError)
