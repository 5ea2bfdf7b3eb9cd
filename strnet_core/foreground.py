"""Otsu foreground: what of a radiograph is patient and what is air, shared by preprocessing and the knee count."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from strnet_core.radiograph import Radiograph
from strnet_core.radiograph.histogram import Counts
from strnet_core.radiograph.opencv import memory_errors
from strnet_core.radiograph.values import to_8bit_counted

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
        return int(np.count_nonzero(self.mask)) / max(1, int(np.count_nonzero(self.valid)))


@memory_errors()
def find_foreground(radiograph: Radiograph) -> Foreground:
    """Otsu over the valid pixels only, so that neither padding nor a shutter moves the threshold. Raises EmptyImageError."""
    grey, counts = to_8bit_counted(radiograph)
    threshold = otsu_threshold(counts)
    # an invalid pixel is 0 in the grey image, so it is never above a threshold
    return Foreground(grey=grey, valid=radiograph.valid, mask=grey > threshold, threshold=threshold)


def otsu_threshold(counts: Counts) -> int:
    """The level 0..255 of a (256,) histogram above which foreground lies: the largest variance between the two classes.

    Of equal ones the lowest; 0 where all values are one. float64 over whole numbers, the same on every machine.
    """
    levels = np.arange(counts.size, dtype=np.float64)
    below = np.cumsum(counts).astype(np.float64)
    moment = np.cumsum(counts * levels)
    above = below[-1] - below
    separable = (below > 0) & (above > 0)
    if not separable.any():
        return 0
    between = np.zeros(counts.size)
    # (total moment x share - moment below)^2 / (below x above), the usual form without a division per class
    gap = moment[-1] * (below / below[-1]) - moment
    np.divide(gap**2, below * above, out=between, where=separable)
    return int(between.argmax())


@memory_errors()
def significant_parts(mask: Mask, min_share: float, grid_px: int = 1) -> Mask:
    """(rows, cols) bool: the mask without connected parts (8 neighbours) below `min_share` of its pixels; 0 keeps all.

    Parts are connected on blocks of `grid_px` x `grid_px` pixels, so that parts closer than a block count as one and the work
    shrinks with its square; their pixels are counted, and kept or dropped, one by one. The blocks start at the mask's first
    pixel, so a border around the image changes nothing.
    """
    if min_share <= 0.0 or not mask.any():
        return mask
    left, top, right, bottom = bounding_box(mask)
    part = mask[top:bottom, left:right]
    keep = _kept_blocks(_pixels_per_block(part, grid_px), min_share)
    if keep is None:
        return mask
    kept = np.zeros(mask.shape, np.bool_)
    wide = np.repeat(np.repeat(keep, grid_px, axis=1), grid_px, axis=0)[: part.shape[0], : part.shape[1]]
    np.logical_and(part, wide, out=kept[top:bottom, left:right])
    return kept


def bounding_box(mask: Mask) -> tuple[int, int, int, int]:
    """left, top, right, bottom in pixels, right and bottom exclusive. Raises ValueError for an empty mask."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    if width == 0:
        raise ValueError("an empty mask has no box")
    return int(left), int(top), int(left + width), int(top + height)


def _pixels_per_block(part: Mask, grid_px: int) -> npt.NDArray[np.uint16]:
    """(ceil(rows / grid), ceil(cols / grid)) how many pixels of the mask lie in each block."""
    if grid_px == 1:
        return part.astype(np.uint16)
    rows, columns = (-(-side // grid_px) * grid_px for side in part.shape)
    whole = cv2.copyMakeBorder(part.view(np.uint8), 0, rows - part.shape[0], 0, columns - part.shape[1], cv2.BORDER_CONSTANT, value=0)
    # a block has at most 64 rows: 8 bits hold their sum; slices add whole rows at a time, where a reduction would walk
    down = functools.reduce(np.add, (whole[row::grid_px] for row in range(grid_px)))
    return functools.reduce(np.add, (down[:, column::grid_px].astype(np.uint16) for column in range(grid_px)))


def _kept_blocks(counts: npt.NDArray[np.uint16], min_share: float) -> Mask | None:
    """Which blocks belong to a part that is large enough; None where none is or all are."""
    number, labels = cv2.connectedComponents((counts > 0).view(np.uint8), connectivity=8)
    areas = np.bincount(labels.ravel(), weights=counts.ravel(), minlength=number)
    keep = areas >= min_share * areas.sum()
    keep[0] = False
    if not keep.any() or keep[1:].all():
        return None
    return np.asarray(keep[labels], np.bool_)
