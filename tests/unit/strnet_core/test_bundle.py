from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strnet_core import errors
from strnet_core.bundle import (
    CovariateScaling,
    Golden,
    IntendedUse,
    PreprocessingSettings,
    card_text,
    decision_logit,
    is_reached,
    load_bundle,
    read_golden,
    read_weights,
    score,
)
from tests.unit.strnet_core.bundle_files import STATISTICS, WEIGHTS, edit, golden, make


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
    assert read_golden(loaded) == Golden()
    assert card_text(loaded).startswith("# card")
    assert loaded.reference_statistics is None


def test_the_bundle_hash_depends_on_content_and_not_on_layout(tmp_path):
    first = make(tmp_path / "first")
    again = make(tmp_path / "again")
    assert first.bundle_hash == again.bundle_hash
    assert first.device_uid == again.device_uid
    edit(tmp_path / "again", lambda document: None)  # rewritten without indentation
    assert load_bundle(tmp_path / "again").bundle_hash == first.bundle_hash
    for number, change in enumerate(
        ({"screening_threshold": 0.45}, {"preprocessing": PreprocessingSettings(antialias=False)}, {"labels": ("a", "b", "c")},
         {"weights": {**WEIGHTS, "layer.weight": WEIGHTS["layer.weight"] + 1}}, {"evidence": "none"},
         {"card": "# another"}, {"covariates": CovariateScaling(age_divisor=90.0)}, {"reference_statistics": STATISTICS},
         {"golden": golden()}, {"provenance": "here"}, {"licence": "none"}, {"threshold_origin": "guessed"})
    ):  # fmt: skip
        assert make(tmp_path / str(number), **change).bundle_hash != first.bundle_hash


def test_statistics_scaling_golden_vectors_and_texts_are_read_back_as_they_were(tmp_path):
    scaling = CovariateScaling(age_offset=55.0, age_divisor=12.0, male_value=0.0, female_value=1.0)
    made = make(
        tmp_path / "bundle", reference_statistics=STATISTICS, covariates=scaling, golden=golden(), provenance="a lab", licence="ours"
    )
    loaded = load_bundle(made.folder)
    assert (loaded.reference_statistics, loaded.covariates, loaded.provenance, loaded.licence) == (STATISTICS, scaling, "a lab", "ours")
    assert read_golden(loaded) == golden()


def test_a_write_that_was_cut_is_taken_up_again(tmp_path):
    make(tmp_path / "bundle")
    (tmp_path / "bundle" / "bundle.json").unlink()
    (tmp_path / "bundle" / "bundle.json.part").write_bytes(b"{")
    assert load_bundle(make(tmp_path / "bundle").folder).version == "1"


def test_a_bundle_is_not_written_among_other_files(tmp_path):
    (tmp_path / "report.pdf").write_bytes(b"%PDF")
    with pytest.raises(errors.BundleFolderError, match=r"report\.pdf"):
        make(tmp_path)


def test_clinical_use_needs_evidence(tmp_path):
    with pytest.raises(errors.BundleSchemaError, match="evidence"):
        make(tmp_path / "without", intended_use=IntendedUse.CLINICAL, evidence=" ")
    assert make(tmp_path / "with", intended_use=IntendedUse.CLINICAL, evidence="a study").evidence == "a study"


def test_covariates_are_scaled_as_the_bundle_says():
    assert CovariateScaling().encode(65.0, male=True, bmi=25.0) == (0.65, 1.0, 0.5)
    scaling = CovariateScaling(age_offset=55.0, age_divisor=10.0, bmi_offset=25.0, bmi_divisor=5.0, male_value=-1.0, female_value=2.0)
    assert scaling.encode(65.0, male=False, bmi=30.0) == (1.0, 2.0, 1.0)


@pytest.mark.parametrize("change", [{"age_divisor": 0.0}, {"bmi_divisor": -1.0}, {"age_offset": math.inf}, {"female_value": 1.0}])
def test_a_scaling_that_loses_what_it_scales_is_refused(change):
    with pytest.raises(ValueError):
        CovariateScaling(**change)


def test_the_device_uid_is_a_uid(tmp_path):
    uid = make(tmp_path / "bundle").device_uid
    assert uid.startswith("2.25.")
    assert uid[5:].isdigit()
    assert len(uid) <= 64


def test_a_bundle_is_never_overwritten(tmp_path):
    make(tmp_path / "bundle")
    with pytest.raises(errors.BundleExistsError):
        make(tmp_path / "bundle", version="2")


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
