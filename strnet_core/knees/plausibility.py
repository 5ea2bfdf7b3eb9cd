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
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from strnet_core.knees.shape_windows import CELLS, LENGTH, Float32Array, cell_maps
from strnet_core.small_image import FloatImage

TEMPLATE_FILE = "knee_template.json"


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

    @property
    def not_a_knee(self) -> float:
        """1 - likeness: 0 for the median knee, larger is worse."""
        return 1.0 - self.likeness


def knee_likeness(grey: FloatImage, template: KneeTemplate | None = None) -> KneeLikeness:
    """The best window in (rows, cols) float32, 0..255, which shows one leg, brighter = denser. The template ships with the code."""
    used = template if template is not None else shipped_template()
    best = KneeLikeness(likeness=0.0, x=grey.shape[1] / 2, y=grey.shape[0] / 2, side=float(min(grey.shape)))
    for number, cells in enumerate(cell_maps(grey)):
        scores = cells.scores(used.weights)
        row, column = (int(place) for place in np.unravel_index(int(scores.argmax()), scores.shape))
        likeness = float(scores[row, column]) - used.offset
        if number == 0 or likeness > best.likeness:
            x, y = cells.left + (column + CELLS / 2) * cells.across, cells.top + (row + CELLS / 2) * cells.down
            best = KneeLikeness(likeness=likeness, x=x, y=y, side=CELLS * cells.across)
    return best


@cache
def shipped_template() -> KneeTemplate:
    """The template in this package. Raises ValueError where the file does not fit this release's windows."""
    document = json.loads(files(__package__).joinpath(TEMPLATE_FILE).read_text(encoding="utf-8"))
    weights = np.asarray(document["weights"], np.float32)
    if weights.shape != (LENGTH,):
        raise ValueError(f"{TEMPLATE_FILE}: expected {LENGTH} weights, not {weights.shape}")
    return KneeTemplate(weights=weights, offset=float(document["offset"]))
