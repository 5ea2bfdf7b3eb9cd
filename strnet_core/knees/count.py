"""One knee or two, and the column between them: the valley of the column profile, whatever the film's format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from strnet_core.radiograph import Radiograph
from strnet_core.small_image import FloatImage, SmallImage, small_image

Profile = npt.NDArray[np.float64]

_SMOOTHING = 0.015
"""Standard deviation of the profile's smoothing per width: below the width of a valley, above that of a bone's edge."""
_MIN_LOBE = 0.20
"""Each lobe's share of the brightness: markers, scale balls and the edge of a neighbour are far below it."""
_MIN_DEPTH = 0.35
"""How far the valley lies below the lower lobe. Of 164 knee films, single knees reach 0.01 and touching legs 0.63."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KneeCount:
    """One knee or two."""

    knees: Literal[1, 2]
    valley_column: int | None
    """Column of the radiograph between the two knees; None for one."""
    depth: float
    """Depth of the deepest valley between balanced lobes, 0 (none) to 1 (air between the legs)."""


def count_knees(image: Radiograph | SmallImage) -> KneeCount:
    """Two where the column profile has two lobes of comparable mass with a valley between.

    Raises EmptyImageError where nothing is valid.
    """
    small = small_image(image) if isinstance(image, Radiograph) else image
    columns = round(small.grey.shape[1] * small.scale)
    profile = _column_profile(small.grey)
    depths = _valley_depths(profile)
    deepest = float(depths.max(initial=0.0))
    if deepest < _MIN_DEPTH:
        return KneeCount(knees=1, valley_column=None, depth=max(0.0, deepest))
    column = round((_middle_of_valley(depths) + 0.5) * small.scale)
    return KneeCount(knees=2, valley_column=min(max(column, 1), columns - 1), depth=deepest)


def split_knees(radiograph: Radiograph, count: KneeCount) -> tuple[Radiograph, ...]:
    """The knees as radiographs of their own, from the image's left to its right; a single knee is returned as it is."""
    if count.valley_column is None:
        return (radiograph,)
    return (
        radiograph.crop_columns(0, count.valley_column),
        radiograph.crop_columns(count.valley_column, radiograph.columns),
    )


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
