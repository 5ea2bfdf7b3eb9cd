"""Grey values of the whole image and of one leg. The scale is the radiograph's own (see `to_8bit`), so these know nothing of dose."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from strnet_core.foreground import significant_parts
from strnet_core.small_image import FloatImage, SmallImage

Mask = npt.NDArray[np.bool_]

_RANGE = 255.0
_MIN_PART = 0.20
"""A leg is at least this share of what is brighter than air on its half of the film."""
_HALF_LEVEL = 0.5


def blank(small: SmallImage) -> float:
    """How little contrast the valid pixels hold: 1 - (95th - 5th percentile) / range."""
    values = small.grey[small.valid]
    if values.size == 0:
        return 1.0
    low, high = np.percentile(values, (5.0, 95.0))
    return 1.0 - float(high - low) / _RANGE


def polarity_suspect(small: SmallImage) -> float:
    """Median of the border ring (mostly air) less mean of the inside, per range: -1..1, above 0 where air seems to be bright."""
    edge = max(1, min(small.grey.shape) // 16)
    inside = np.zeros(small.grey.shape, np.bool_)
    inside[edge:-edge, edge:-edge] = True
    return (float(np.median(small.grey[~inside])) - float(small.grey[inside].mean())) / _RANGE


def leg_of(grey: FloatImage) -> Mask:
    """(rows, cols) bool of (rows, cols) float32, 0..255: what Otsu calls bright, without small parts, with its gaps closed."""
    levels = np.clip(grey, 0.0, _RANGE).astype(np.uint8)
    threshold, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    mask = significant_parts(levels > threshold, _MIN_PART).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)), np.bool_)


def underexposed(grey: FloatImage, leg: Mask) -> float:
    """1 - 95th percentile of the leg's grey / range, 0..1; 1 where there is no leg."""
    return 1.0 - float(np.percentile(grey[leg], 95.0)) / _RANGE if leg.any() else 1.0


def overexposed(grey: FloatImage, leg: Mask) -> float:
    """Median of the leg's grey / range, 0..1; 0 where there is no leg."""
    return float(np.median(grey[leg])) / _RANGE if leg.any() else 0.0


def clipped(grey: FloatImage, leg: Mask) -> float:
    """Share of the leg's pixels at the top or the bottom of the range, 0..1."""
    if not leg.any():
        return 0.0
    values = grey[leg]
    return float(np.mean((values >= _RANGE - _HALF_LEVEL) | (values <= _HALF_LEVEL)))
