"""Text that was burned into the pixels: a line of small bright marks near the image's upper or lower edge."""

from __future__ import annotations

import cv2
import numpy as np

from strnet_core.small_image import FloatImage, UInt8Image

_ROWS = 800
"""Letters of a line of text are told apart at this height of the whole image."""
_BAND = 7
"""The upper and the lower seventh are looked at: annotations stand there, and reading all would cost more than the rest together."""
_STROKE = 9
_CONTRAST = 45.0
"""Grey levels above what is around the stroke."""
_HEIGHTS = (6, 26)
_MAX_WIDTH = 30
_MIN_AREA = 8
_MAX_GAP = 18

Box = tuple[int, int, int, int]


def burned_in_text(grey: UInt8Image) -> float:
    """Of (rows, cols) uint8, see `to_8bit`: the most marks of a letter's size that stand beside each other.

    A lead marker and a vendor's glyph are 1 or 2.

    A warning, not a protection of privacy: dark text, text in the middle and very large or small letters go unseen.
    """
    rows, columns = grey.shape
    band = max(1, rows // _BAND)
    zoom = _ROWS / rows
    size = (max(1, round(columns * zoom)), max(_STROKE, round(band * zoom)))
    method = cv2.INTER_AREA if zoom < 1.0 else cv2.INTER_LINEAR
    longest = 0
    for part in (grey[:band], grey[-band:]):
        resized = np.asarray(cv2.resize(part.astype(np.float32), size, interpolation=method), np.float32)
        longest = max(longest, _longest_line(resized))
    return float(longest)


def _longest_line(grey: FloatImage) -> int:
    strokes = cv2.morphologyEx(np.clip(grey, 0.0, 255.0), cv2.MORPH_TOPHAT, np.ones((_STROKE, _STROKE), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats((strokes >= _CONTRAST).astype(np.uint8), connectivity=8)
    marks = stats[1:]
    heights = marks[:, cv2.CC_STAT_HEIGHT]
    fits = (heights >= _HEIGHTS[0]) & (heights <= _HEIGHTS[1])
    fits &= (marks[:, cv2.CC_STAT_WIDTH] <= _MAX_WIDTH) & (marks[:, cv2.CC_STAT_AREA] >= _MIN_AREA)
    boxes = [(int(x), int(y), int(width), int(height)) for x, y, width, height, _ in marks[fits]]
    return max((_run(boxes, box) for box in boxes), default=0)


def _run(boxes: list[Box], first: Box) -> int:
    """The longest row of boxes of a similar height, with small gaps, on the line through the middle of one."""
    line, like = first[1] + first[3] // 2, first[3]
    crossed = sorted((x, x + width) for x, y, width, height in boxes if y <= line <= y + height and like <= 2 * height <= 4 * like)
    longest, run, end = 0, 0, -_MAX_GAP - 1
    for start, stop in crossed:
        run = run + 1 if start - end <= _MAX_GAP else 1
        longest, end = max(longest, run), max(end, stop)
    return longest
