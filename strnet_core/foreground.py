"""Otsu foreground: what of a radiograph is patient and what is air, shared by preprocessing and the knee count."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from strnet_core.radiograph import Radiograph, to_8bit

UInt8Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Foreground:
    """8-bit grey values of a radiograph with what Otsu calls foreground."""

    grey: UInt8Image
    """(rows, cols) uint8, see `to_8bit`."""
    valid: Mask
    """(rows, cols) bool, the radiograph's own."""
    mask: Mask
    """(rows, cols) bool: valid and brighter than the threshold."""
    threshold: int
    """0..255; foreground is above it."""

    @property
    def share(self) -> float:
        """Foreground pixels per valid pixel, 0..1."""
        return float(self.mask.sum()) / max(1.0, float(self.valid.sum()))


def find_foreground(radiograph: Radiograph) -> Foreground:
    """Otsu over the valid pixels only, so that neither padding nor a shutter moves the threshold. Raises EmptyImageError."""
    grey = to_8bit(radiograph)
    everything = bool(radiograph.valid.all())
    counted = grey.reshape(1, -1) if everything else grey[radiograph.valid].reshape(1, -1)
    threshold, _ = cv2.threshold(counted, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    mask = grey > threshold
    if not everything:
        mask &= radiograph.valid
    return Foreground(grey=grey, valid=radiograph.valid, mask=mask, threshold=int(threshold))


def significant_parts(mask: Mask, min_share: float) -> Mask:
    """(rows, cols) bool: the mask without connected parts (8 neighbours) below `min_share` of it; 0 keeps all."""
    if min_share <= 0.0 or not mask.any():
        return mask
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    keep = areas >= min_share * areas[1:].sum()
    keep[0] = False
    if count <= 1 or not keep.any():
        return mask
    return np.asarray(keep[labels], np.bool_)


def bounding_box(mask: Mask) -> tuple[int, int, int, int]:
    """left, top, right, bottom in pixels, right and bottom exclusive. Raises ValueError for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        raise ValueError("an empty mask has no box")
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
