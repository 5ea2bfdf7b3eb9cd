"""Which pixels show the patient: pixel padding (PS3.3 C.7.5.1.1.2), display shutter (C.7.6.11) and collimator (C.8.7.3)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from strnet_core.radiograph.header import PixelHeader, whole_number
from strnet_core.radiograph.histogram import Mask
from strnet_core.radiograph.stored import Numbers

_MIN_VISIBLE = 0.05
"""An opening that leaves less than this of the image is a broken header, not a shutter."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coverage:
    """(rows, cols) bool of what counts, with codes of what was masked."""

    valid: Mask
    notes: tuple[str, ...]


def coverage(stored: Numbers, dataset: Dataset, header: PixelHeader) -> Coverage:
    """Mask out padding, shutter and collimator of stored values (rows, cols)."""
    valid: Mask = np.ones(stored.shape, np.bool_)
    notes: list[str] = []
    padding = _padding_range(dataset, header)
    if padding is not None:
        hidden = (stored >= padding[0]) & (stored <= padding[1])
        if hidden.any():
            valid &= ~hidden
            notes.append("padding")
    for keyword, note in (("Shutter", "shutter"), ("Collimator", "collimator")):
        opening = _opening(dataset, keyword, stored.shape)
        if opening is None:
            continue
        if opening.mean() < _MIN_VISIBLE:
            notes.append(f"{note}_ignored")
        elif not opening.all():
            valid &= opening
            notes.append(note)
    return Coverage(valid=valid, notes=tuple(notes))


def _padding_range(dataset: Dataset, header: PixelHeader) -> tuple[int, int] | None:
    if dataset.get("PixelPaddingValue") is None:
        return None
    first = _as_stored(whole_number(dataset, "PixelPaddingValue"), header)
    last = _as_stored(whole_number(dataset, "PixelPaddingRangeLimit", first), header)
    return min(first, last), max(first, last)


def _as_stored(value: int, header: PixelHeader) -> int:
    """The padding value is often written with the wrong sign (US for SS or the other way round)."""
    span = 1 << header.bits_allocated
    if header.signed and value >= span >> 1:
        return value - span
    if not header.signed and value < 0:
        return value + span
    return value


def _opening(dataset: Dataset, device: str, shape: tuple[int, ...]) -> Mask | None:
    """The intersection of a device's shapes, or None where it has none that is complete."""
    shapes = [str(name).strip().upper() for name in _listed(dataset.get(f"{device}Shape"))]
    openings = [opening for name in shapes if (opening := _shape(name, dataset, device, shape)) is not None]
    return np.logical_and.reduce(openings) if openings else None


def _shape(name: str, dataset: Dataset, device: str, shape: tuple[int, ...]) -> Mask | None:
    if name == "RECTANGULAR":
        return _rectangle(dataset, device, shape)
    if name == "CIRCULAR":
        return _circle(dataset, device, shape)
    if name == "POLYGONAL":
        return _polygon(dataset, device, shape)
    return None


def _rectangle(dataset: Dataset, device: str, shape: tuple[int, ...]) -> Mask | None:
    edges = [
        _numbers(dataset.get(f"{device}{edge}"))
        for edge in ("LeftVerticalEdge", "RightVerticalEdge", "UpperHorizontalEdge", "LowerHorizontalEdge")
    ]
    if any(len(edge) != 1 for edge in edges):
        return None
    left, right, upper, lower = (int(edge[0]) for edge in edges)
    opening: Mask = np.zeros(shape, np.bool_)
    if min(left, upper) < 0 or right > shape[1] + 1 or lower > shape[0] + 1:
        return opening  # real files give edges of the detector or in millimetres: an empty opening is ignored by the caller
    # positions count from 1 and the edge itself is still visible
    opening[max(upper - 1, 0) : max(lower, 0), max(left - 1, 0) : max(right, 0)] = True
    return opening


def _circle(dataset: Dataset, device: str, shape: tuple[int, ...]) -> Mask | None:
    centre = _numbers(dataset.get(f"CenterOfCircular{device}"))
    radius = _numbers(dataset.get(f"RadiusOfCircular{device}"))
    if len(centre) != 2 or len(radius) != 1:  # noqa: PLR2004
        return None
    rows, columns = np.ogrid[1 : shape[0] + 1, 1 : shape[1] + 1]
    distance = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2
    return np.asarray(distance <= radius[0] ** 2, np.bool_)


def _polygon(dataset: Dataset, device: str, shape: tuple[int, ...]) -> Mask | None:
    numbers = _numbers(dataset.get(f"VerticesOfThePolygonal{device}"))
    if len(numbers) < 6 or len(numbers) % 2:  # noqa: PLR2004
        return None
    corners = np.rint(np.asarray(numbers).reshape(-1, 2)[:, ::-1] - 1.0)  # row\column pairs to x, y
    drawn = np.zeros(shape, np.uint8)
    cv2.fillPoly(drawn, [np.clip(corners, -32768, 32767).astype(np.int32)], (1,))
    return drawn.astype(np.bool_)


def _listed(value: object) -> list[object]:
    if value is None:
        return []
    return list(value) if isinstance(value, MultiValue | list) else [value]


def _numbers(value: object) -> list[float]:
    try:
        numbers = [float(str(item)) for item in _listed(value)]
    except ValueError:
        return []
    return numbers if np.isfinite(numbers).all() else []
