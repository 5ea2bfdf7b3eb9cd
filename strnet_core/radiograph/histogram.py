"""Exact counts of the values of an 8 or 16-bit image: every statistic here is taken from these and not from the pixels."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from strnet_core.radiograph.opencv import memory_errors

Counts = npt.NDArray[np.int64]
Words = npt.NDArray[np.unsignedinteger]
"""uint8 or uint16."""
Mask = npt.NDArray[np.bool_]

_EXACT_IN_FLOAT32 = 1 << 24
"""OpenCV hands counts out as float32, which is exact up to here; larger images are counted in strips of rows."""


@memory_errors()
def histogram(image: Words, counted: Mask | None = None) -> Counts:
    """(256,) int64 for a (rows, cols) uint8 image, (65536,) for uint16: how often each value occurs where `counted` is True.

    None counts every pixel. Reads a strided view as well as a whole image, in place.
    """
    levels = 1 << 8 * image.dtype.itemsize
    total: Counts = np.zeros(levels, np.int64)
    height = max(1, _EXACT_IN_FLOAT32 // max(1, image.shape[1]))
    for top in range(0, image.shape[0], height):
        strip = np.s_[top : top + height]
        mask = None if counted is None else counted[strip].view(np.uint8)
        counts = cv2.calcHist([image[strip]], [0], mask, [levels], [0, levels])
        total += counts.ravel().astype(np.int64)
    return total
