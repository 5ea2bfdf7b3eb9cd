"""Closed curves that shapes are filled from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Outline = npt.NDArray[np.float64]


def placed(outline: object, joint: float, size: float) -> Outline:
    """Smooth closed curve through the corners, moved to the joint's height and scaled about it."""
    corners = np.asarray(outline, np.float64)
    closed = smooth_closed(corners)
    return np.stack((closed[:, 0] * size, joint + (closed[:, 1] - 0.475) * size), axis=1)


def smooth_closed(corners: Outline) -> Outline:
    """Catmull-Rom spline through the corners, 12 points per span."""
    before, here, after, beyond = (np.roll(corners, shift, axis=0)[:, np.newaxis] for shift in (1, 0, -1, -2))
    t = np.linspace(0.0, 1.0, 12, endpoint=False)[np.newaxis, :, np.newaxis]
    curve = here + 0.5 * t * (
        (after - before) + t * ((2.0 * before - 5.0 * here + 4.0 * after - beyond) + t * (3.0 * (here - after) + beyond - before))
    )
    return np.asarray(curve.reshape(-1, 2), np.float64)


def ellipse(x: float, y: float, half_width: float, half_height: float) -> Outline:
    angle = np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False)
    return np.stack((x + half_width * np.cos(angle), y + half_height * np.sin(angle)), axis=1).astype(np.float64)
