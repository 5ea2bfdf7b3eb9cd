from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from strnet_core.phantom import PhantomParameters, draw

SMALL = PhantomParameters(rows=600, columns=500, marker=False)


def test_the_same_seed_draws_the_same_bytes_and_another_seed_does_not():
    assert np.array_equal(draw(SMALL, 1), draw(SMALL, 1))
    assert not np.array_equal(draw(SMALL, 1), draw(SMALL, 2))


@pytest.mark.parametrize("view", ["ap", "lateral", "chest"])
def test_values_are_12_bits_of_the_shape_asked_for(view):
    stored = draw(dataclasses.replace(SMALL, view=view), 1)
    assert stored.dtype == np.uint16
    assert stored.shape == (600, 500)
    assert stored.max() <= 4095
    assert np.percentile(stored, 99) > 1500
    assert np.percentile(stored, 1) < 300


def test_denser_bone_is_brighter_in_the_femur_and_not_in_the_air():
    femur = np.s_[60:150, 235:265]
    porotic, dense = (draw(dataclasses.replace(SMALL, density=density), 1) for density in (0.1, 0.9))
    assert dense[femur].mean() > 1.1 * porotic[femur].mean()
    assert abs(float(dense[:, 20:30].mean()) - float(porotic[:, 20:30].mean())) < 5


def test_the_fibula_is_on_the_outer_side():
    below = np.s_[420:560, :]
    for side, bright_left in (("R", True), ("L", False)):
        parameters = dataclasses.replace(SMALL, side=side, density=1.0, noise=0.0)
        rows = draw(parameters, 1)[below].astype(float)
        left, right = rows[:, 130:200].max(axis=1).mean(), rows[:, 300:370].max(axis=1).mean()
        assert (left > right) == bright_left


def test_there_is_a_joint_gap():
    stored = draw(dataclasses.replace(SMALL, noise=0.0), 1).astype(float)
    column = stored[200:380, 200:220].mean(axis=1)
    gap = int(column.argmin())
    assert column[gap] < 0.8 * column[: gap - 10].max()
    assert column[gap] < 0.8 * column[gap + 10 :].max()


def test_a_marker_is_drawn_on_the_side_it_names():
    for side, columns in (("R", np.s_[:, :60]), ("L", np.s_[:, -60:])):
        marked = draw(dataclasses.replace(SMALL, side=side, marker=True), 1)
        assert (marked[columns] > 3000).sum() > 30


def test_noise_and_tilt_change_the_image():
    quiet = draw(dataclasses.replace(SMALL, noise=0.0), 1)
    assert not np.array_equal(quiet, draw(dataclasses.replace(SMALL, noise=1.0), 1))
    assert not np.array_equal(quiet, draw(dataclasses.replace(SMALL, noise=0.0, tilt=5.0), 1))


@pytest.mark.parametrize(
    "change", [{"density": 1.1}, {"tilt": 31.0}, {"rows": 10}, {"knees": 3}, {"knees": 2, "view": "lateral"}, {"view": "pa"}, {"side": "B"}]
)
def test_parameters_out_of_range_are_refused(change):
    with pytest.raises(ValueError):
        PhantomParameters(**change)
