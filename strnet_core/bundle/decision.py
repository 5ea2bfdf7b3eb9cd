"""The decision at a threshold and the score, both in float64, so that no rounding can move a knee across the line."""

from __future__ import annotations

import math


def decision_logit(threshold: float) -> float:
    """Logit of a threshold in (0, 1), float64; 0.44 gives -0.2411620568. Raises ValueError outside of (0, 1)."""
    if not 0.0 < threshold < 1.0:
        raise ValueError(f"a threshold lies between 0 and 1, not at {threshold!r}")
    return math.log(threshold / (1.0 - threshold))


def is_reached(logit: float, threshold: float) -> bool:
    """Whether a finite logit reaches the threshold's; equality counts. Raises ValueError for a logit that is no number.

    Compared as logits: float32(0.44) >= 0.44 is true in float32 and false in float64, a logit has no such edge.
    """
    if not math.isfinite(logit):
        raise ValueError(f"a decision needs a finite logit, not {logit!r}")
    return logit >= decision_logit(threshold)


def score(logit: float) -> float:
    """AI score 0..100 (100 x sigmoid, float64, without overflow). It is not a probability. Raises ValueError for NaN."""
    if math.isnan(logit):
        raise ValueError("a score needs a number")
    if logit >= 0.0:
        return 100.0 / (1.0 + math.exp(-logit))
    tail = math.exp(logit)
    return 100.0 * tail / (1.0 + tail)
