"""Fields of attenuation: depth of a filled shape, texture, rotation."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
Mask = npt.NDArray[np.uint8]


def distance(mask: Mask) -> Field:
    """Pixels to the outline, inside; beyond the film the shape goes on, so the film's edge is no outline."""
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    distance = cv2.distanceTransform((padded > 127).astype(np.uint8), cv2.DIST_L2, 5)  # noqa: PLR2004
    return np.asarray(distance[1:-1, 1:-1], np.float32)


def thickness(mask: Mask, depth_px: float) -> Field:
    """0..1: a body that rounds off over `depth_px` from its outline, softened at the edge."""
    inward = 1.0 - np.minimum(distance(mask) / np.float32(max(depth_px, 1.0)), 1.0)
    rounded = np.sqrt(np.maximum(1.0 - inward * inward, 0.0))
    return np.asarray(cv2.GaussianBlur(rounded, (0, 0), 1.2), np.float32)


def fractional_noise(shape: tuple[int, int], random: np.random.Generator) -> Field:
    """Mean 0, standard deviation 1: octaves that fall slower than f^-1, slightly stretched along the leg as trabeculae are."""
    total: Field = np.zeros(shape, np.float32)
    for octave in range(5):
        step = 3 * 2**octave
        grid = random.standard_normal((shape[0] // (2 * step) + 2, shape[1] // step + 2)).astype(np.float32)
        total += (1.35**octave) * np.asarray(cv2.resize(grid, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.float32)
    return np.asarray((total - total.mean()) / total.std(), np.float32)


def rotated(field: Field, degrees: float) -> Field:
    if degrees == 0.0:
        return field
    rows, columns = field.shape
    turn = cv2.getRotationMatrix2D((columns / 2.0, rows / 2.0), -degrees, 1.0)
    return np.asarray(cv2.warpAffine(field, turn, (columns, rows), borderMode=cv2.BORDER_REPLICATE), np.float32)
