from __future__ import annotations

import numpy as np
import pytest

from strnet_core.foreground import bounding_box, find_foreground, significant_parts
from strnet_core.radiograph import Radiograph


def radiograph(presentation: np.ndarray, valid: np.ndarray | None = None) -> Radiograph:
    valid = np.ones(presentation.shape, bool) if valid is None else valid
    return Radiograph.from_presentation(np.where(valid, presentation, 0), valid)


def test_the_bright_part_is_foreground():
    presentation = np.full((60, 60), 0.1)
    presentation[10:50, 20:40] = 0.8
    foreground = find_foreground(radiograph(presentation))
    assert bounding_box(foreground.mask) == (20, 10, 40, 50)
    assert foreground.share == pytest.approx(800 / 3600)


def test_invalid_pixels_move_neither_threshold_nor_share():
    presentation = np.random.default_rng(1).random((60, 60))
    plain = find_foreground(radiograph(presentation))
    valid = np.zeros((100, 100), bool)
    valid[20:80, 20:80] = True
    framed = find_foreground(radiograph(np.pad(presentation, 20, constant_values=1.0), valid))
    assert framed.threshold == plain.threshold
    assert framed.share == plain.share
    assert np.array_equal(framed.mask[20:80, 20:80], plain.mask)


def test_small_parts_are_dropped_and_all_kept_at_zero():
    mask = np.zeros((50, 50), bool)
    mask[5:45, 20:30] = True
    mask[0:2, 0:2] = True
    assert bounding_box(significant_parts(mask, 0.05)) == (20, 5, 30, 45)
    assert significant_parts(mask, 0.0).sum() == mask.sum()
    assert not significant_parts(np.zeros((5, 5), bool), 0.05).any()


def test_an_empty_mask_has_no_box():
    with pytest.raises(ValueError):
        bounding_box(np.zeros((5, 5), bool))
