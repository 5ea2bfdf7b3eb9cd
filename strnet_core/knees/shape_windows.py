"""Square windows over one leg, described by the directions of their edges: what a knee's shape is looked for in."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from strnet_core.foreground import bounding_box, significant_parts
from strnet_core.small_image import FloatImage

Float32Array = npt.NDArray[np.float32]

CELLS = 8
"""A window is 8 x 8 cells."""
DIRECTIONS = 6
"""Edge directions of 30 degrees each; light to dark and dark to light count alike."""
LENGTH = CELLS * CELLS * DIRECTIONS

_SCALES = (1.05, 0.88, 0.74, 0.62, 0.52, 0.44)
"""Sides of the windows per width of the leg's box: a field that is cut at the skin down to one with much air and a wide thigh."""
_BOX_WIDTH = 96
"""The leg's box is brought to this width, so that the number of rows and the field of view of a film count for little."""
_MAX_HEIGHT = 480
_BORDER = 0.12
"""The box's edges are repeated outwards by this share of its width: a joint at the edge of the field still fits in a window."""
_MIN_PART = 0.05
"""As in preprocessing: markers, glyphs and labels do not widen the box."""
_FLOOR = 0.02
"""Edges below this share of the grey range, per pixel, count little: noise in air has no shape."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CellMap:
    """The cells of one size over one leg; a window starts at each cell that has 7 more to its right and below."""

    shares: Float32Array
    """(rows, cols, DIRECTIONS) float32, 0..1: square roots of each cell's share of edges per direction, in its neighbourhood."""
    left: float
    """Left edge of the first cell in pixels of the image that was looked at, and so on."""
    top: float
    across: float
    """Width of a cell."""
    down: float

    @property
    def rows(self) -> int:
        """Of windows."""
        return int(self.shares.shape[0]) - CELLS + 1

    @property
    def columns(self) -> int:
        return int(self.shares.shape[1]) - CELLS + 1

    def places(self) -> Float32Array:
        """(rows * columns, 3) float32: x and y of each window's middle, and its side."""
        row, column = np.mgrid[: self.rows, : self.columns]
        x, y = self.left + (column.ravel() + CELLS / 2) * self.across, self.top + (row.ravel() + CELLS / 2) * self.down
        return np.stack((x, y, np.full(x.size, CELLS * self.across)), axis=1).astype(np.float32)

    def vectors(self) -> Float32Array:
        """(rows * columns, LENGTH) float32: the windows' cells, row by row."""
        views = np.lib.stride_tricks.sliding_window_view(self.shares, (CELLS, CELLS), axis=(0, 1)).transpose(0, 1, 3, 4, 2)
        return np.ascontiguousarray(views, np.float32).reshape(-1, LENGTH)

    def scores(self, weights: Float32Array) -> Float32Array:
        """(rows, columns) float32: `vectors() @ weights` without the vectors."""
        kernels = weights.reshape(CELLS, CELLS, DIRECTIONS)
        total = np.zeros((self.rows, self.columns), np.float32)
        for direction in range(DIRECTIONS):
            plane, kernel = np.ascontiguousarray(self.shares[..., direction]), np.ascontiguousarray(kernels[..., direction])
            # the anchor makes a window's score that of its first cell
            response = cv2.filter2D(plane, cv2.CV_32F, kernel, anchor=(0, 0), borderType=cv2.BORDER_REPLICATE)
            total += response[: self.rows, : self.columns]
        return total


def cell_maps(grey: FloatImage) -> tuple[CellMap, ...]:
    """Cells of up to six sizes over the leg in (rows, cols) float32, 0..255; none where the leg is too small for a window."""
    left, top, right, bottom = _leg_box(grey)
    zoom = min(_BOX_WIDTH / (right - left), _MAX_HEIGHT / (bottom - top))
    size = (max(CELLS, round((right - left) * zoom)), max(CELLS, round((bottom - top) * zoom)))
    method = cv2.INTER_AREA if zoom < 1.0 else cv2.INTER_LINEAR
    leg = cv2.resize(np.ascontiguousarray(grey[top:bottom, left:right]), size, interpolation=method)
    border = round(_BORDER * size[0])
    leg = cv2.copyMakeBorder(leg, border, border, border, border, cv2.BORDER_REPLICATE)
    low, high = np.percentile(leg[::2, ::2], (2.0, 98.0))
    floor = np.float32(_FLOOR * max(1.0, float(high - low)))
    edges = _edges(np.asarray(leg, np.float32))
    maps = []
    for scale in _SCALES:
        cell = scale * size[0] / CELLS
        rows, columns = round(leg.shape[0] / cell), round(leg.shape[1] / cell)
        if min(rows, columns) < CELLS:
            continue
        cells = np.stack([cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA) for plane in edges], axis=-1)
        around = cv2.blur(cells.sum(axis=2), (3, 3), borderType=cv2.BORDER_REPLICATE) + floor
        maps.append(
            CellMap(
                shares=np.sqrt(cells / around[..., np.newaxis]),
                left=left - border / zoom,
                top=top - border / zoom,
                across=leg.shape[1] / columns / zoom,
                down=leg.shape[0] / rows / zoom,
            )
        )
    return tuple(maps)


def mirrored(vectors: Float32Array) -> Float32Array:
    """(n, LENGTH) float32: the vectors of the same windows in the mirrored image."""
    cells = vectors.reshape(-1, CELLS, CELLS, DIRECTIONS)[:, :, ::-1]
    turned = cells[..., [(-direction) % DIRECTIONS for direction in range(DIRECTIONS)]]
    return np.ascontiguousarray(turned).reshape(-1, LENGTH)


def _leg_box(grey: FloatImage) -> tuple[int, int, int, int]:
    levels = np.clip(grey, 0.0, 255.0).astype(np.uint8)
    threshold, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    mask = significant_parts(levels > threshold, _MIN_PART)
    return bounding_box(mask) if mask.any() else (0, 0, grey.shape[1], grey.shape[0])


def _edges(leg: Float32Array) -> Float32Array:
    """(DIRECTIONS, rows, cols) float32: strength of the edges, each shared between its two nearest directions."""
    smooth = cv2.GaussianBlur(leg, (0, 0), 0.8)
    across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=1, borderType=cv2.BORDER_REPLICATE)
    down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=1, borderType=cv2.BORDER_REPLICATE)
    strength, angle = cv2.cartToPolar(across, down)
    position = angle * np.float32(DIRECTIONS / np.pi)
    # an edge and its opposite are one direction: 0..6
    position[position >= DIRECTIONS] -= np.float32(DIRECTIONS)
    edges = np.empty((DIRECTIONS, *leg.shape), np.float32)
    for direction in range(DIRECTIONS):
        share = np.float32(1.0) - np.abs(position - np.float32(direction))
        if direction == 0:
            np.maximum(share, position - np.float32(DIRECTIONS - 1), out=share)
        np.maximum(share, np.float32(0.0), out=share)
        np.multiply(share, strength, out=edges[direction])
    return edges
