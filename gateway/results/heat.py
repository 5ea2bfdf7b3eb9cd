"""A saliency map as colour over grey."""

from __future__ import annotations

from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

Rgb = npt.NDArray[np.uint8]
Colormap = Literal["inferno", "jet"]

_TABLES: Final = {"inferno": (cv2.COLORMAP_INFERNO, 224), "jet": (cv2.COLORMAP_JET, 255)}
"""OpenCV's table and its last entry that is used: the lightest yellows of inferno turn greenish over grey, and green would say "well"."""
_STRONGEST: Final = 0.65
"""Opacity at the map's maximum: bone stays visible under it."""


def normalised_map(saliency: tuple[tuple[float, ...], ...]) -> npt.NDArray[np.float32] | None:
    """Map divided by its maximum, float32 in 0..1 (rows, columns); None when it holds no positive value."""
    values = np.asarray(saliency, dtype=np.float32)
    if values.ndim != 2 or values.size == 0:  # noqa: PLR2004 - rows and columns
        return None
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0).clip(min=0)
    peak = float(values.max())
    return values / peak if peak > 0 else None


def blend(grey: npt.NDArray[np.uint8], saliency: npt.NDArray[np.float32], colormap: Colormap) -> Rgb:
    """Colour over grey (rows, columns), opaque in proportion to the map; uint8 RGB."""
    rows, columns = grey.shape
    smooth = cv2.resize(saliency, (columns, rows), interpolation=cv2.INTER_LINEAR)
    colours = coloured(smooth, colormap).astype(np.float32)
    weight = (smooth * _STRONGEST)[..., None]
    return np.asarray(np.round(colours * weight + grey[..., None].astype(np.float32) * (1 - weight)), dtype=np.uint8)


def coloured(values: npt.NDArray[np.float32], colormap: Colormap) -> Rgb:
    """Colours for values in 0..1 (rows, columns); uint8 RGB."""
    table, last = _TABLES[colormap]
    return np.ascontiguousarray(cv2.applyColorMap(np.round(values * last).astype(np.uint8), table)[..., ::-1])
