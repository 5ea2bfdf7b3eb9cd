"""Random changes of a training image (paper 2.2): mirrored, moved, its borders masked. None in validation, test or the gateway."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from strnet_core.training.settings import AugmentationSettings

UInt8Image = npt.NDArray[np.uint8]


def augmented(image: UInt8Image, settings: AugmentationSettings, random: np.random.Generator) -> UInt8Image:
    """(size, size) uint8 of (size, size) uint8. The same generator state gives the same image."""
    mirrored = image[:, ::-1] if random.random() < settings.flip_probability else image
    moved = _moved(np.ascontiguousarray(mirrored), settings, random)
    return _border_masked(moved, settings, random) if random.random() < settings.border_probability else moved


def _moved(image: UInt8Image, settings: AugmentationSettings, random: np.random.Generator) -> UInt8Image:
    """Rotated and scaled about the centre, then shifted; what comes in from outside is black, which the paper leaves open."""
    rows, columns = image.shape
    angle = random.uniform(-settings.max_rotation_degrees, settings.max_rotation_degrees)
    scale = random.uniform(settings.min_scale, settings.max_scale)
    across, down = random.uniform(-settings.max_translation, settings.max_translation, 2)
    matrix = cv2.getRotationMatrix2D(((columns - 1) / 2.0, (rows - 1) / 2.0), angle, scale)
    matrix[:, 2] += across * columns, down * rows
    return np.asarray(cv2.warpAffine(image, matrix, (columns, rows), flags=cv2.INTER_LINEAR), np.uint8)


def _border_masked(image: UInt8Image, settings: AugmentationSettings, random: np.random.Generator) -> UInt8Image:
    """Four strips of random widths become the image's median."""
    rows, columns = image.shape
    shares = random.uniform(0.0, settings.max_border, 4)
    top, bottom = round(shares[0] * rows), round(shares[1] * rows)
    left, right = round(shares[2] * columns), round(shares[3] * columns)
    masked = np.full_like(image, np.uint8(np.median(image)))
    masked[top : rows - bottom, left : columns - right] = image[top : rows - bottom, left : columns - right]
    return masked
