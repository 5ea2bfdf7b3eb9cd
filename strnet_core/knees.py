"""What the pixels say before the network looks: one knee or two and where between, right polarity, anything there at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from strnet_core.radiograph import Radiograph, to_8bit

Profile = npt.NDArray[np.float64]
FloatImage = npt.NDArray[np.float32]

_ANALYSIS_ROWS = 256
"""Legs are large: everything here is decided on an image of this height."""
_SMOOTHING = 0.015
"""Standard deviation of the profile's smoothing per width: below the width of a valley, above that of a bone's edge."""
_MIN_LOBE = 0.20
"""Each lobe's share of the brightness: markers, scale balls and the edge of a neighbour are far below it."""
_MIN_DEPTH = 0.35
"""How far the valley lies below the lower lobe. Of 164 knee films, single knees reach 0.01 and touching legs 0.63."""
_BLANK_SPREAD = 8
"""Grey levels (of 255 over the full range) between the 5th and 95th percentile below which nothing is on the film."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KneeCount:
    """One knee or two."""

    knees: Literal[1, 2]
    valley_column: int | None
    """Column of the radiograph between the two knees; None for one."""
    depth: float
    """Depth of the deepest valley between balanced lobes, 0 (none) to 1 (air between the legs)."""


def count_knees(radiograph: Radiograph) -> KneeCount:
    """Two where the column profile has two lobes of comparable mass with a valley between, whatever the film's format.

    Raises EmptyImageError where nothing is valid.
    """
    profile = _column_profile(_small(radiograph))
    depths = _valley_depths(profile)
    deepest = float(depths.max(initial=0.0))
    if deepest < _MIN_DEPTH:
        return KneeCount(knees=1, valley_column=None, depth=max(0.0, deepest))
    middle = _middle_of_valley(depths)
    column = round((middle + 0.5) * radiograph.columns / profile.size)
    return KneeCount(knees=2, valley_column=min(max(column, 1), radiograph.columns - 1), depth=deepest)


def split_knees(radiograph: Radiograph, count: KneeCount) -> tuple[Radiograph, ...]:
    """The knees as radiographs of their own, from the image's left to its right; a single knee is returned as it is."""
    if count.valley_column is None:
        return (radiograph,)
    return (
        radiograph.crop_columns(0, count.valley_column),
        radiograph.crop_columns(count.valley_column, radiograph.columns),
    )


def polarity_suspect(radiograph: Radiograph) -> bool:
    """True where the border ring (mostly air) is brighter than what it surrounds, so that air seems to be bright.

    Median of the ring against the mean of the inside: at least 29 of 255 apart on each of 164 knee films, either way up.
    """
    small = _small(radiograph)
    edge = max(1, small.shape[1] // 16)
    inside = np.zeros(small.shape, np.bool_)
    inside[edge:-edge, edge:-edge] = True
    return float(np.median(small[~inside])) > float(small[inside].mean())


def is_blank(radiograph: Radiograph) -> bool:
    """True where the valid pixels hold next to no contrast: an unexposed film, a cover sheet, one grey."""
    values = to_8bit(radiograph)[radiograph.valid]
    low, high = np.percentile(values, (5.0, 95.0))
    return bool(high - low < _BLANK_SPREAD)


def _small(radiograph: Radiograph) -> FloatImage:
    """(256, n) float32, 0..255; invalid pixels are 0."""
    grey = to_8bit(radiograph)
    columns = max(32, round(grey.shape[1] * _ANALYSIS_ROWS / grey.shape[0]))
    return np.asarray(cv2.resize(grey, (columns, _ANALYSIS_ROWS), interpolation=cv2.INTER_AREA), np.float32)


def _column_profile(small: FloatImage) -> Profile:
    """(n,) mean brightness of the columns above the air, capped so that metal and markers count no more than bone."""
    air = float(np.percentile(small, 2.0))
    threshold, _ = cv2.threshold(np.clip(small, 0, 255).astype(np.uint8), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    capped = np.clip(small - air, 0.0, max(1.0, 2.0 * (threshold - air)))
    raw = capped.mean(axis=0, dtype=np.float64).reshape(1, -1)
    smooth = cv2.GaussianBlur(raw, (0, 0), sigmaX=_SMOOTHING * small.shape[1], sigmaY=1.0)
    return np.asarray(smooth, np.float64).ravel()


def _valley_depths(profile: Profile) -> Profile:
    """(n,) depth of each column below the lower of the highest points to its left and right; 0 where a lobe is too small."""
    left = np.maximum.accumulate(profile)
    right = np.maximum.accumulate(profile[::-1])[::-1]
    mass = np.cumsum(profile)
    share = mass / max(float(mass[-1]), 1e-9)
    lower_lobe = np.maximum(np.minimum(left, right), 1e-9)
    balanced = np.minimum(share, 1.0 - share) >= _MIN_LOBE
    return np.where(balanced, 1.0 - profile / lower_lobe, 0.0)


def _middle_of_valley(depths: Profile) -> float:
    """Middle of the stretch around the deepest column that is nearly as deep: air between legs is flat, noise picks no side."""
    deepest = int(depths.argmax())
    shallow = np.flatnonzero(depths < 0.95 * depths[deepest])
    before, after = shallow[shallow < deepest], shallow[shallow > deepest]
    first = int(before[-1]) + 1 if before.size else 0
    last = int(after[0]) - 1 if after.size else depths.size - 1
    return (first + last) / 2.0
