"""Do the pixels show a knee, whatever the header says? One linear template of a knee's edges, looked for all over the leg.

The template is a linear discriminant: the mean edge directions of knees (both ways round, so that a mirrored knee scores the
same) against those of everything else on the same films, whitened by the latter's covariance (Hariharan, Malik and Ramanan,
"Discriminative decorrelation for clustering and classification", ECCV 2012). `strnet_core.knees.fit_plausibility` fits it.

Drawn chests count as surroundings in the fit; no real image of another body part took part, so those that it was tried on are
evidence. But they are few: six radiographs (three chests, a hip, an elbow, a lower leg), one MR, and shafts cut from knee films.
No real hand was at hand; of two drawn ones a crude one passed an earlier fit of the template. A lateral or an upside-down knee,
or another joint of a similar outline, can pass: region and view are decided by the header. A knee that disease has deformed
beyond recognition can be refused: of 164 films one is (N9), held out as in the shipped fit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from strnet_core.knees.shape_windows import CELLS, LENGTH, CellMap, Float32Array, cell_maps
from strnet_core.small_image import FloatImage

TEMPLATE_FILE = "knee_template.json"
_PER_BESIDE = 0.84
"""Sides half as bright as the joint come to 0.42. Of 265 knees on the films of the fit the brightest sides are at 0.36 of their
joint, chests the right way up at 0.63 and above."""
_MIN_MARGIN = 2
_ACROSS, _DOWN = (0.25, 0.75), (0.10, 0.90)
"""Where the middle of a joint may lie, as shares of the leg's image. Joints on the films of the fit: 0.32 to 0.68 and 0.14 to 0.78.
The corner of a shoulder or of a rib cage can have a knee's edges."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KneeTemplate:
    """What a knee's edges look like."""

    weights: Float32Array
    """(LENGTH,) float32."""
    offset: float
    """What the surroundings of knees score on average; the median knee of the fit scores 1 above it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KneeLikeness:
    """How much the best window looks like a knee, and where it is."""

    likeness: float
    """0 is what a leg beside its knee scores on average, 1 the median knee."""
    x: float
    """Middle of the window in pixels of the image that was looked at."""
    y: float
    side: float
    beside: float = 0.0
    """Brightness of the image's left and right edge beside the window, per brightness of the window's middle: 0 is air."""

    @property
    def not_a_knee(self) -> float:
        """1 - likeness, or what the bright sides of a trunk give, whichever is more: 0 for the median knee, larger is worse."""
        return max(1.0 - self.likeness, _PER_BESIDE * self.beside)


def knee_likeness(grey: FloatImage, template: KneeTemplate | None = None) -> KneeLikeness:
    """The best window in (rows, cols) float32, 0..255, which shows one leg, brighter = denser. The template ships with the code."""
    used = template if template is not None else shipped_template()
    best = KneeLikeness(likeness=0.0, x=grey.shape[1] / 2, y=grey.shape[0] / 2, side=float(min(grey.shape)))
    for number, cells in enumerate(cell_maps(grey)):
        scores = np.where(_is_central(cells, grey.shape), cells.scores(used.weights), np.float32(-np.inf))
        row, column = (int(place) for place in np.unravel_index(int(scores.argmax()), scores.shape))
        likeness = float(scores[row, column]) - used.offset
        if number == 0 or likeness > best.likeness:
            x, y = cells.left + (column + CELLS / 2) * cells.across, cells.top + (row + CELLS / 2) * cells.down
            best = KneeLikeness(likeness=likeness, x=x, y=y, side=CELLS * cells.across)
    return replace(best, beside=_beside(grey, best))


def _beside(grey: FloatImage, found: KneeLikeness) -> float:
    """A leg has air on both sides, or the gap to the other leg; a chest or a pelvis runs to the edges of its film."""
    half, margin = max(1, int(found.side / 4.0)), max(_MIN_MARGIN, grey.shape[1] // 20)
    rows = grey[max(0, int(found.y) - half) : int(found.y) + half]
    middle = rows[:, max(0, int(found.x) - half) : int(found.x) + half]
    edges = np.concatenate((rows[:, :margin], rows[:, -margin:]), axis=1)
    return float(edges.mean()) / max(1.0, float(middle.mean()))


def _is_central(cells: CellMap, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """(rows, columns) bool: windows whose middle lies where a joint is taken; the whole image where none does."""
    places = cells.places()
    across, down = places[:, 0] / shape[1], places[:, 1] / shape[0]
    central = (across >= _ACROSS[0]) & (across <= _ACROSS[1]) & (down >= _DOWN[0]) & (down <= _DOWN[1])
    return np.asarray(central if central.any() else ~central).reshape(cells.rows, cells.columns)


@cache
def shipped_template() -> KneeTemplate:
    """The template in this package. Raises ValueError where the file does not fit this release's windows."""
    document = json.loads(files(__package__).joinpath(TEMPLATE_FILE).read_text(encoding="utf-8"))
    weights = np.asarray(document["weights"], np.float32)
    if weights.shape != (LENGTH,):
        raise ValueError(f"{TEMPLATE_FILE}: expected {LENGTH} weights, not {weights.shape}")
    return KneeTemplate(weights=weights, offset=float(document["offset"]))
