"""Screws, staples, plates and prostheses around the joint: near white, sharply bounded, and inside the leg.

Nothing on a radiograph lets less through than metal, so it lies near the top of the grey range; bone that reaches the top does so
gradually, and its cortex is a thin line. Lead markers, scale balls and rings outside of the leg are not metal in the leg. Not
found: wires as thin as a cortex, metal outside of the window (a shaft far from the joint), and metal that a window or a vendor's
processing has pulled down to the level of bone.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from strnet_core.quality.exposure import leg_of
from strnet_core.small_image import FloatImage, UInt8Image, area_average

Part = npt.NDArray[np.uint8]

_WINDOW = 1.9
"""Side of the window per side of the square that looked like a knee: from mid femur to mid tibia on a field of 30 cm."""
_SIDE = 256
_ENOUGH = 4
"""Pixels a side that fall into one of the window from which on every second is enough."""
_WHITE = 229.0
"""90 % of the range."""
_MIN_AREA = 24
"""Pixels of the window; a staple of 2 x 12 mm is about 100."""
_MIN_THICKNESS = 2.5
"""Area per length in pixels of the window: below are cortices seen edge on."""
_MIN_FILL = 0.40
"""Area per area of the tightest rectangle: bright cortices bend and branch."""
_MIN_EDGE = 16.0
"""Median grey levels per pixel along the outline. Metal on the films and cases: 24 to 44; bone that is as thick: up to 18, and that
branches."""
_MIN_INSIDE = 0.95
"""Share of the surroundings that is leg."""
_MAX_CONTACT = 24
"""Pixels of the window's edge that it may touch: a nail does, a collimated border touches more."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointWindow:
    """The part of a knee's image around the joint, at a scale that depends on the knee's size alone."""

    grey: FloatImage
    """(rows, cols) float32, 0..255 on the scale of the whole knee's image; at most 256 a side."""


def joint_window(whole: UInt8Image, *, x: float, y: float, side: float) -> JointWindow:
    """Of (rows, cols) uint8, see `to_8bit`: around the middle (x, y) of a square that looked like a knee, all in pixels."""
    half = max(8.0, _WINDOW * side / 2.0)
    left, right = max(0, round(x - half)), min(whole.shape[1], round(x + half))
    top, bottom = max(0, round(y - half)), min(whole.shape[0], round(y + half))
    zoom = _SIDE / (2.0 * half)
    size = (max(1, round((right - left) * zoom)), max(1, round((bottom - top) * zoom)))
    return JointWindow(grey=area_average(whole[top:bottom, left:right], size, _ENOUGH))


def metal(window: JointWindow) -> float:
    """Percent of the window's pixels (of 256 x 256) that are metal."""
    grey = window.grey
    count, labels, stats, _ = cv2.connectedComponentsWithStats((grey >= _WHITE).astype(np.uint8), connectivity=8)
    large = [number for number in range(1, count) if stats[number, cv2.CC_STAT_AREA] >= _MIN_AREA]
    if not large:
        return 0.0
    leg = leg_of(grey).astype(np.uint8)
    steepness = cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=1), cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=1)) / 2.0
    found = 0
    for number in large:
        left, top, width, height, area = (int(value) for value in stats[number])
        around = np.s_[max(0, top - 6) : top + height + 6, max(0, left - 6) : left + width + 6]
        part = (labels[around] == number).astype(np.uint8)
        if _is_compact(part) and _contact(labels, number) <= _MAX_CONTACT and _is_bounded(part, steepness[around], leg[around]):
            found += area
    return 100.0 * found / (_SIDE * _SIDE)


def _is_compact(part: Part) -> bool:
    area = float(part.sum())
    _, (width, height), _ = cv2.minAreaRect(np.argwhere(part).astype(np.float32))
    return bool(area >= _MIN_THICKNESS * (max(width, height) + 1.0) and area >= _MIN_FILL * (width + 1.0) * (height + 1.0))


def _contact(labels: npt.NDArray[np.int32], number: int) -> int:
    edges = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    return sum(int(np.count_nonzero(edge == number)) for edge in edges)


def _is_bounded(part: Part, steepness: FloatImage, leg: Part) -> bool:
    wider = cv2.dilate(part, np.ones((3, 3), np.uint8)) > 0
    outline = wider & ~(cv2.erode(part, np.ones((3, 3), np.uint8)) > 0)
    surroundings = (cv2.dilate(part, np.ones((9, 9), np.uint8)) > 0) & ~wider
    inside = bool(surroundings.any()) and float(leg[surroundings].mean()) >= _MIN_INSIDE
    return inside and float(np.median(steepness[outline])) >= _MIN_EDGE
