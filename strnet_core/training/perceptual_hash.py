"""A 64-bit perceptual hash (pHash) of a grey image: signs of its low cosine frequencies."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

_SIDE = 32
_LOW = 8


def perceptual_hash(image: npt.NDArray[np.uint8]) -> int:
    """0..2**64-1 of (rows, cols) uint8: which of the 8 x 8 lowest frequencies of its 32 x 32 average are above their median."""
    small = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:_LOW, :_LOW]
    bits = (low > np.median(low)).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def distance(first: int, second: int) -> int:
    """Bits that differ, 0..64."""
    return (first ^ second).bit_count()
