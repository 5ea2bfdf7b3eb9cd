"""A radiograph at 256 rows: what the knee count, the plausibility and the quality measures look at. Legs are large."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from strnet_core.errors import EmptyImageError
from strnet_core.radiograph import Radiograph

FloatImage = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

ANALYSIS_ROWS = 256
_MIN_COLUMNS = 32
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
    low: float
    """Presentation value that is 0 here."""
    high: float
    """Presentation value that is 255 here."""

    def crop_columns(self, start: int, stop: int) -> SmallImage:
        """Columns start..stop-1 on the same scale of grey. Raises ValueError where the range is empty or outside."""
        if not 0 <= start < stop <= self.grey.shape[1]:
            raise ValueError(f"columns {start}..{stop} of {self.grey.shape[1]}")
        return replace(self, grey=np.ascontiguousarray(self.grey[:, start:stop]), valid=np.ascontiguousarray(self.valid[:, start:stop]))


def small_image(radiograph: Radiograph) -> SmallImage:
    """The whole radiograph at 256 rows, its aspect kept (at least 32 columns). Raises EmptyImageError where nothing is valid."""
    rows, columns = radiograph.presentation.shape
    size = (max(_MIN_COLUMNS, round(columns * ANALYSIS_ROWS / rows)), ANALYSIS_ROWS)
    everything = bool(radiograph.valid.all())
    covered = None if everything else radiograph.valid.view(np.uint8)
    if covered is not None and not covered.any():
        raise EmptyImageError("no valid pixel")
    low, high, _, _ = cv2.minMaxLoc(radiograph.presentation, covered)
    if everything:
        valid = np.ones((size[1], size[0]), np.bool_)
        grey = cv2.resize(radiograph.presentation, size, interpolation=cv2.INTER_AREA)
    else:
        share = cv2.resize(radiograph.valid.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        valid = share >= _HALF
        # invalid pixels are 0: what is left is the mean of the valid ones
        grey = cv2.resize(radiograph.presentation, size, interpolation=cv2.INTER_AREA) / np.maximum(share, 1e-3)
    # one single value becomes all 0, as in `to_8bit`
    stretched = np.clip((grey - low) * (255.0 / (high - low) if high > low else 0.0), 0.0, 255.0)
    stretched[~valid] = 0.0
    return SmallImage(grey=np.asarray(stretched, np.float32), valid=valid, scale=columns / size[0], low=low, high=high)
