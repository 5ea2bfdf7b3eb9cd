"""What a bundle's inputs and scores looked like where it was made: the yardstick of later drift checks."""

from __future__ import annotations

import math
from dataclasses import dataclass

QUANTILE_LEVELS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A quantity over a set of images. Raises ValueError for what is not finite or a negative deviation."""

    mean: float
    sd: float
    """Over n - 1; 0 for one image."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.sd) and self.sd >= 0.0):
            raise ValueError("mean and sd must be finite, sd not negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceStatistics:
    """Figures over a named set of images. Raises ValueError where they contradict themselves."""

    over: str
    """What the set is, in words: it decides whether a comparison with it means anything."""
    n: int
    """Images in the set."""
    logit_quantiles: tuple[float, ...]
    """Screening logits at `QUANTILE_LEVELS`, linear between neighbours; the score is a monotone function of them."""
    screening_logit: Spread
    input_mean: Spread
    """Mean grey level (0..255) of the 8-bit network input, per image."""
    input_sd: Spread
    """Standard deviation of the grey levels of the 8-bit network input, per image."""
    crop_share: Spread
    """Area of the crop over the area of the knee's radiograph, 0..1."""
    fallback_rate: float
    """Share of images, 0..1, whose foreground was not believed."""

    def __post_init__(self) -> None:
        if not self.over.strip():
            raise ValueError("over must name the set")
        if self.n < 1:
            raise ValueError("n must be above 0")
        quantiles = self.logit_quantiles
        if len(quantiles) != len(QUANTILE_LEVELS) or not all(map(math.isfinite, quantiles)) or list(quantiles) != sorted(quantiles):
            raise ValueError(f"logit_quantiles must be {len(QUANTILE_LEVELS)} finite ascending numbers")
        if not (0.0 <= self.fallback_rate <= 1.0 and 0.0 <= self.crop_share.mean <= 1.0):
            raise ValueError("fallback_rate and crop_share lie between 0 and 1")
