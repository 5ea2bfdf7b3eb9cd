"""A radiograph at 256 rows: what the knee count, the plausibility and the quality measures look at. Legs are large."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from strnet_core.errors import EmptyImageError
from strnet_core.radiograph import Radiograph, to_8bit
from strnet_core.radiograph.opencv import memory_errors

UInt8Image = npt.NDArray[np.uint8]
FloatImage = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

ANALYSIS_ROWS = 256
_MIN_COLUMNS = 32
_ENOUGH = 8
_HALF = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SmallImage:
    """Area averages of a radiograph on the scale of `to_8bit`."""

    grey: FloatImage
    """(256, n) float32, 0..255; the valid values' minimum is 0 and their maximum 255; 0 where nothing is valid."""
    valid: Mask
    """(256, n) bool: at least half of what was averaged is valid."""
    scale: float
    """Columns of the radiograph per column here."""

    def inverted(self) -> SmallImage:
        """Bright and dark exchanged where it is valid."""
        return replace(self, grey=np.asarray(np.where(self.valid, np.float32(255.0) - self.grey, 0.0), np.float32))

    def crop_columns(self, start: int, stop: int) -> SmallImage:
        """Columns start..stop-1 on the same scale of grey. Raises ValueError where the range is empty or outside."""
        if not 0 <= start < stop <= self.grey.shape[1]:
            raise ValueError(f"columns {start}..{stop} of {self.grey.shape[1]}")
        return replace(self, grey=np.ascontiguousarray(self.grey[:, start:stop]), valid=np.ascontiguousarray(self.valid[:, start:stop]))


def area_average(image: UInt8Image | FloatImage, size: tuple[int, int], enough: int) -> FloatImage:
    """(rows, cols) uint8 or float32 brought to `size` (columns, rows) float32 by area averages, or by interpolation where it grows.

    Where `enough` pixels a side fall into one, only every second is read: a quarter of the memory for a mean of fewer.
    """
    if image.shape[0] >= enough * size[1] and image.shape[1] >= enough * size[0]:
        image = image[::2, ::2]
    method = cv2.INTER_AREA if size[1] < image.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(image, np.float32), size, interpolation=method), np.float32)


def small_image(radiograph: Radiograph) -> SmallImage:
    """The whole radiograph at 256 rows, its aspect kept (at least 32 columns). Raises EmptyImageError where nothing is valid."""
    return shrunk(to_8bit(radiograph), radiograph.valid)


@memory_errors()
def shrunk(grey: UInt8Image, valid: Mask) -> SmallImage:
    """As `small_image`, of what `to_8bit` made. Raises EmptyImageError where nothing is valid."""
    rows, columns = grey.shape
    size = (max(_MIN_COLUMNS, round(columns * ANALYSIS_ROWS / rows)), ANALYSIS_ROWS)
    small = area_average(grey, size, _ENOUGH)
    if valid.all():
        counted = np.ones(small.shape, np.bool_)
    elif not valid.any():
        raise EmptyImageError("no valid pixel")
    else:
        share = area_average(valid.view(np.uint8), size, _ENOUGH)
        counted = share >= _HALF
        # invalid pixels are 0: what is left is the mean of the valid ones
        small = np.clip(small / np.maximum(share, np.float32(1e-3)), 0.0, 255.0)
        small[~counted] = 0.0
    return SmallImage(grey=np.asarray(small, np.float32), valid=counted, scale=columns / size[0])
