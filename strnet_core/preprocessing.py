"""Presentation values to the network's input (paper 2.2), one code for training and inference alike."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from strnet_core.bundle.settings import PreprocessingSettings
from strnet_core.foreground import Foreground, bounding_box, find_foreground, significant_parts
from strnet_core.radiograph import Radiograph
from strnet_core.radiograph.histogram import Counts, histogram
from strnet_core.radiograph.opencv import memory_errors

UInt8Image = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

_LEVELS = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Preprocessed:
    """The 8-bit image before the float step, and where in the radiograph it comes from."""

    image: UInt8Image
    """(size, size) uint8, 0..255."""
    left: int
    """Crop in source pixels; right and bottom are exclusive."""
    top: int
    right: int
    bottom: int
    fallback: bool
    """True where the foreground was too small to be believed and the whole image was used."""
    sha256: str
    """SHA-256 (hex) of the image's bytes, row by row: what golden vectors pin."""


@memory_errors()
def preprocess(radiograph: Radiograph, settings: PreprocessingSettings, found: Foreground | None = None) -> Preprocessed:
    """8-bit grey, Otsu crop with margin, percentile stretch, resize. Padding and shutter count in no statistic.

    The stretch maps the 256 grey levels to float32 0..255, the resize averages these (OpenCV INTER_AREA), and its result is
    rounded half to even: after `to_8bit` nothing is rounded but the result. `found` is the radiograph's own foreground, where the
    caller has it already.
    Raises EmptyImageError where nothing is valid.
    """
    foreground = find_foreground(radiograph) if found is None else found
    (left, top, right, bottom), fallback = _crop_box(foreground, settings)
    window = np.s_[top:bottom, left:right]
    grey, valid = foreground.grey[window], foreground.valid[window]
    table = _stretch_table(grey, valid, foreground, settings)
    stretched: Float32Array = cv2.LUT(grey, table)
    if not valid.all():
        stretched *= valid
    image = _resize(stretched, settings)
    digest = hashlib.sha256(image.tobytes()).hexdigest()
    return Preprocessed(image=image, left=left, top=top, right=right, bottom=bottom, fallback=fallback, sha256=digest)


def to_input(images: UInt8Image, settings: PreprocessingSettings) -> Float32Array:
    """(n, 1, size, size) float32 of (n, size, size) uint8: (x / 255 - mean) / std. Raises ValueError otherwise."""
    if images.ndim != 3 or images.dtype != np.uint8:  # noqa: PLR2004
        raise ValueError(f"expected (n, rows, cols) uint8, not {images.shape} {images.dtype}")
    levels = (np.arange(_LEVELS, dtype=np.float64) / 255.0 - settings.mean) / settings.std
    return np.asarray(levels.astype(np.float32)[images][:, np.newaxis])


def percentiles(counts: Counts, low: float, high: float) -> tuple[float, float]:
    """The two percentiles (0..100, linear between neighbours as numpy has it) of the values whose histogram (256,) is given."""
    cumulative = np.cumsum(counts)
    return _from_cumulative(cumulative, low), _from_cumulative(cumulative, high)


def _from_cumulative(cumulative: Counts, percentile: float) -> float:
    position = (int(cumulative[-1]) - 1) * percentile / 100.0
    below = math.floor(position)
    first = int(np.searchsorted(cumulative, below, side="right"))
    second = int(np.searchsorted(cumulative, min(below + 1, int(cumulative[-1]) - 1), side="right"))
    return first + (second - first) * (position - below)


def _crop_box(foreground: Foreground, settings: PreprocessingSettings) -> tuple[tuple[int, int, int, int], bool]:
    if not foreground.mask.any() or foreground.share < settings.min_foreground:
        # the whole image, but no border that is only padding: adding padding must change nothing
        return bounding_box(foreground.valid), True
    left, top, right, bottom = bounding_box(significant_parts(foreground.mask, settings.min_component, settings.component_grid_px))
    across, down = round(settings.margin * (right - left)), round(settings.margin * (bottom - top))
    edges = bounding_box(foreground.valid)
    box = (max(left - across, edges[0]), max(top - down, edges[1]), min(right + across, edges[2]), min(bottom + down, edges[3]))
    return box, False


def _stretch_table(grey: UInt8Image, valid: Mask, foreground: Foreground, settings: PreprocessingSettings) -> Float32Array:
    """(256,) float32, 0..255: where each grey level goes when the percentiles become 0 and 255."""
    over, counted = (grey, valid) if settings.percentile_over == "crop" else (foreground.grey, foreground.valid)
    counts = histogram(over, None if counted.all() else counted)
    low, high = percentiles(counts, settings.low_percentile, settings.high_percentile)
    levels = np.arange(_LEVELS, dtype=np.float64)
    if high <= low:
        return np.zeros(_LEVELS, np.float32)
    return np.asarray(np.clip((levels - low) / (high - low), 0.0, 1.0) * 255.0, np.float32)


def _resize(stretched: Float32Array, settings: PreprocessingSettings) -> UInt8Image:
    """(size, size) uint8, rounded half to even, of a float32 crop."""
    square = _padded_to_square(stretched) if settings.keep_aspect else stretched
    size = settings.size_px
    if settings.antialias and min(square.shape) >= size:
        resized = _resize_to(square, size, size, settings)
    else:
        # one axis at a time: OpenCV averages only where both axes shrink
        wide = _resize_to(square, size, square.shape[0], settings)
        resized = _resize_to(wide, size, size, settings)
    # three decimals first: what float32 sums leave behind a half differs between processors
    return np.clip(np.rint(np.round(resized.astype(np.float64), 3)), 0.0, 255.0).astype(np.uint8)


def _resize_to(image: Float32Array, columns: int, rows: int, settings: PreprocessingSettings) -> Float32Array:
    shrinks = columns < image.shape[1] or rows < image.shape[0]
    method = cv2.INTER_AREA if settings.antialias and shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (columns, rows), interpolation=method), np.float32)


def _padded_to_square(image: Float32Array) -> Float32Array:
    rows, columns = image.shape
    side = max(rows, columns)
    square = np.zeros((side, side), np.float32)
    top, left = (side - rows) // 2, (side - columns) // 2
    square[top : top + rows, left : left + columns] = image
    return square
