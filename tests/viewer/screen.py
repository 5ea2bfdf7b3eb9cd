"""What a reader sees in OHIF's active viewport, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    lines: tuple[str, ...]
    box: Box


@dataclass(frozen=True, slots=True, kw_only=True)
class Rectangle:
    """A drawn rectangle: where it stands in the image's pixels and in the window's."""

    in_image: Box
    in_window: Box


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """image: SOP Instance UID in view. index: 0-based of `images`. pane, image_box and the labels' boxes are in the window's pixels."""

    image: str
    index: int
    images: int
    pane: Box
    image_box: Box
    rectangles: tuple[Rectangle, ...]
    labels: tuple[Label, ...]

    def label_of(self, rectangle: Rectangle) -> Label | None:
        """The label that hangs on a rectangle: OHIF draws it close beside the right edge."""
        edge = rectangle.in_window[2]
        return min((label for label in self.labels if label.box[0] > edge), key=lambda label: label.box[0] - edge, default=None)

    def is_whole(self, label: Label) -> bool:
        """Whether all of a label stands inside the viewport."""
        return (
            label.box[0] >= self.pane[0] and label.box[2] <= self.pane[2] and self.pane[1] <= label.box[1] and label.box[3] <= self.pane[3]
        )


def screen(values: Mapping[str, Any]) -> Screen:
    """From what screen.js answered. An image id of OHIF is a WADO-RS address: .../instances/<SOP Instance UID>/frames/1."""
    return Screen(
        image=str(values["imageId"]).split("/instances/")[1].split("/")[0],
        index=int(values["index"]),
        images=int(values["images"]),
        pane=_box(values["pane"]),
        image_box=_box(values["imageBox"]),
        rectangles=tuple(Rectangle(in_image=_around(one["inImage"]), in_window=_around(one["inWindow"])) for one in values["rectangles"]),
        labels=tuple(Label(lines=tuple(one["lines"]), box=_box(one["box"])) for one in values["labels"]),
    )


def overlaps(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def difference(window: bytes, seen: Screen, expected: npt.NDArray[np.uint8]) -> float:
    """Mean absolute difference, 0..255, between the viewport in a PNG of the window and the picture that should stand in it.

    expected: uint8 (rows, columns) or (rows, columns, 3).
    """
    left, top, right, bottom = (round(edge) for edge in seen.image_box)
    picture = Image.fromarray(expected).convert("RGB").resize((right - left, bottom - top), Image.Resampling.BILINEAR)
    cut = (max(left, round(seen.pane[0])), max(top, round(seen.pane[1])), min(right, round(seen.pane[2])), min(bottom, round(seen.pane[3])))
    shown = np.asarray(Image.open(BytesIO(window)).convert("RGB").crop(cut), dtype=np.float32)
    wanted = np.asarray(picture.crop((cut[0] - left, cut[1] - top, cut[2] - left, cut[3] - top)), dtype=np.float32)
    return float(np.abs(shown - wanted).mean())


def _box(values: Any) -> Box:
    left, top, right, bottom = (float(value) for value in values)
    return (left, top, right, bottom)


def _around(corners: Any) -> Box:
    points = np.asarray(corners, dtype=np.float64)
    return _box([*points.min(axis=0), *points.max(axis=0)])
