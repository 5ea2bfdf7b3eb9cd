"""Every open choice between stored pixels and the network's input, as one value that belongs to the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

PercentileOver = Literal["crop", "image"]
Interpolation = Literal["bilinear"]
VoiPolicy = Literal["tags", "none"]

_RANGES: Mapping[str, tuple[float, float]] = {
    "size_px": (32, 4096),
    "margin": (0.0, 0.5),
    "min_foreground": (0.0, 1.0),
    "min_component": (0.0, 1.0),
    "low_percentile": (0.0, 100.0),
    "high_percentile": (0.0, 100.0),
    "mean": (-1000.0, 1000.0),
    "std": (1e-6, 1000.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessingSettings:
    """How a radiograph becomes the network's input (paper 2.2); the defaults are the paper's where it says something.

    The paper leaves open: antialias, aspect, rounding, over what the percentiles run, and which parts of the foreground count.
    Changing any of these changes the bundle hash, and with it every UID of a result.

    Raises ValueError where a value is out of its range.
    """

    size_px: int = 512
    """Side of the square that the network sees, in pixels."""
    margin: float = 0.03
    """Added to each side of the foreground's box, as a fraction of the box's width or height."""
    min_foreground: float = 0.10
    """Below this share of the valid pixels the foreground is not believed and the whole image is used."""
    min_component: float = 0.05
    """Connected parts below this share of the foreground (markers, glyphs, labels) do not widen the box; 0 keeps all."""
    low_percentile: float = 1.0
    high_percentile: float = 99.0
    percentile_over: PercentileOver = "crop"
    interpolation: Interpolation = "bilinear"
    antialias: bool = True
    """Average over the source pixels that fall into one target pixel when shrinking. Without it bilinear keeps 4 of them and
    aliases: 89 % of the trabecular-scale texture survives from 3000 x 2500, much of it false (35 % with)."""
    keep_aspect: bool = False
    """False squeezes the crop into the square as `Resize((512, 512))` does; True pads the shorter side with black."""
    mean: float = 0.5
    std: float = 0.25
    voi_policy: VoiPolicy = "tags"
    """`tags` applies the VOI LUT or window of the header; `none` spreads the full range of values."""
    accept_for_processing: bool = False

    def __post_init__(self) -> None:
        wrong = [name for name, (low, high) in _RANGES.items() if not low <= getattr(self, name) <= high]
        if not self.low_percentile < self.high_percentile:
            wrong.append("low_percentile")
        for name, value, allowed in (
            ("percentile_over", self.percentile_over, get_args(PercentileOver)),
            ("interpolation", self.interpolation, get_args(Interpolation)),
            ("voi_policy", self.voi_policy, get_args(VoiPolicy)),
        ):
            if value not in allowed:
                wrong.append(name)
        if wrong:
            raise ValueError(f"out of range: {', '.join(wrong)}")
