from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from strnet_core.bundle import PreprocessingSettings
from strnet_core.preprocessing import percentiles, preprocess, to_input
from strnet_core.radiograph import Radiograph
from tests.unit.strnet_core.test_foreground import radiograph

SETTINGS = PreprocessingSettings()
GOLDEN = {
    "paper": "214f711110afb7aa071c8f339f0cb1757d752a57f73b33a53aa3f5b1987135d4",
    "aliased": "4c8bb2682560a5c5230659aeed7fc2501df68b00adff47a832bbe47f8bd7a2e8",
    "aspect": "e6754faee72cd69fdfddc1ebbb43986cf5f08a3086bccb535581383e25026cfa",
}


def leg(rows: int = 900, columns: int = 700) -> np.ndarray:
    """Integer arithmetic only, so that it is the same on every machine: a bright band with a fine pattern in dark air."""
    y, x = np.mgrid[0:rows, 0:columns]
    band = np.clip(1000 - (np.abs(x - columns // 2) * 6000) // columns, 0, 1000)
    pattern = (x * 37 + y * 101 + (x * y) % 53) % 97
    return ((band + (band > 0) * pattern * 3 + 40) / 4095.0).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("paper", SETTINGS),
        ("aliased", PreprocessingSettings(antialias=False)),
        ("aspect", PreprocessingSettings(keep_aspect=True, percentile_over="image")),
    ],
)
def test_the_8_bit_image_is_the_golden_one(name, settings):
    assert preprocess(radiograph(leg()), settings).sha256 == GOLDEN[name]


def test_the_crop_is_the_foreground_with_3_percent_on_each_side():
    presentation = np.full((400, 400), 0.05)
    presentation[100:300, 150:250] = 0.9
    result = preprocess(radiograph(presentation), SETTINGS)
    assert (result.left, result.top, result.right, result.bottom) == (147, 94, 253, 306)
    assert not result.fallback
    assert result.image.shape == (512, 512)
    assert result.image.dtype == np.uint8


def test_a_small_foreground_falls_back_to_the_whole_image():
    presentation = np.full((400, 400), 0.05)
    presentation[100:200, 100:200] = 0.9
    result = preprocess(radiograph(presentation), SETTINGS)
    assert result.fallback
    assert (result.left, result.top, result.right, result.bottom) == (0, 0, 400, 400)


def test_a_flat_image_falls_back_and_is_black():
    result = preprocess(radiograph(np.full((100, 100), 0.4)), SETTINGS)
    assert result.fallback
    assert not result.image.any()


def test_percentiles_become_0_and_255():
    image = preprocess(radiograph(leg()), SETTINGS).image
    assert image.min() == 0
    assert image.max() >= 250


def test_padding_around_changes_nothing():
    plain = preprocess(radiograph(leg()), SETTINGS)
    valid = np.pad(np.ones((900, 700), bool), 80)
    framed = preprocess(radiograph(np.pad(leg(), 80, constant_values=1.0), valid), SETTINGS)
    assert framed.sha256 == plain.sha256
    assert (framed.left - 80, framed.top - 80) == (plain.left, plain.top)


def test_padding_around_changes_nothing_in_the_fallback_either():
    presentation = np.full((200, 200), 0.05)
    presentation[90:110, 90:110] = 0.9
    valid = np.pad(np.ones((200, 200), bool), 30)
    framed = preprocess(radiograph(np.pad(presentation, 30, constant_values=1.0), valid), SETTINGS)
    assert framed.fallback
    assert framed.sha256 == preprocess(radiograph(presentation), SETTINGS).sha256


def test_a_linear_change_that_clips_nothing_changes_nothing():
    one = preprocess(radiograph(leg()), SETTINGS)
    other = preprocess(radiograph(leg() * 0.5 + 0.2), SETTINGS)
    assert np.abs(one.image.astype(int) - other.image.astype(int)).max() <= 1


def test_a_mirrored_image_gives_the_mirrored_result():
    image = radiograph(leg(640, 600))
    mirrored = dataclasses.replace(image, words=np.ascontiguousarray(image.words[:, ::-1]))
    difference = preprocess(image, SETTINGS).image.astype(int) - preprocess(mirrored, SETTINGS).image[:, ::-1].astype(int)
    assert np.abs(difference).max() <= 1


def test_antialias_takes_away_texture_that_bilinear_would_alias():
    noisy = np.random.default_rng(3).random((2048, 2048)).astype(np.float32)
    spread = {
        antialias: preprocess(radiograph(noisy), PreprocessingSettings(antialias=antialias)).image.std() for antialias in (True, False)
    }
    assert spread[True] < 0.6 * spread[False]


def test_keep_aspect_pads_with_black():
    presentation = np.full((400, 400), 0.05, np.float32)
    presentation[50:350, 150:250] = np.linspace(0.5, 0.9, 100)
    image = preprocess(radiograph(presentation), PreprocessingSettings(keep_aspect=True)).image
    assert not image[:, :100].any()
    assert image[256, 256] > 0


def test_small_images_are_enlarged():
    assert preprocess(radiograph(leg(90, 70)), SETTINGS).image.shape == (512, 512)


@given(npst.arrays(np.uint8, st.integers(1, 60)), st.floats(0, 100))
def test_percentiles_from_the_histogram_are_numpy_s(values, percentile):
    low, _ = percentiles(np.bincount(values, minlength=256), percentile, 100.0)
    assert low == pytest.approx(float(np.percentile(values, percentile)), abs=1e-9)


def test_the_input_is_normalised_with_mean_and_deviation():
    images = np.array([[[0, 255], [51, 204]]], np.uint8)
    values = to_input(images, SETTINGS)
    assert values.shape == (1, 1, 2, 2)
    assert values.dtype == np.float32
    assert np.allclose(values[0, 0], [[-2.0, 2.0], [-1.2, 1.2]])
    for wrong in (images[0], images.astype(np.float32)):
        with pytest.raises(ValueError):
            to_input(wrong, SETTINGS)


@pytest.mark.parametrize(
    "change",
    [
        {"margin": -0.1},
        {"std": 0.0},
        {"low_percentile": 99.0},
        {"voi_policy": "guess"},
        {"mean": float("nan")},
        {"voi_low_percentile": 99.5},
        {"component_grid_px": 0},
    ],
)
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        PreprocessingSettings(**change)


def test_a_radiograph_is_not_changed():
    image: Radiograph = radiograph(leg())
    before = image.presentation.copy()
    preprocess(image, SETTINGS)
    assert np.array_equal(image.presentation, before)
