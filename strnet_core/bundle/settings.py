"""Every open choice between stored pixels and the network's input, as one value that belongs to the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

PercentileOver = Literal["crop", "image"]
Interpolation = Literal["bilinear"]
VoiPolicy = Literal["tags", "none", "percentile"]

_RANGES: Mapping[str, tuple[float, float]] = {
    "size_px": (32, 4096),
    "margin": (0.0, 0.5),
    "min_foreground": (0.0, 1.0),
    "min_component": (0.0, 1.0),
    "low_percentile": (0.0, 100.0),
    "high_percentile": (0.0, 100.0),
    "component_grid_px": (1, 64),
    "voi_low_percentile": (0.0, 100.0),
    "voi_high_percentile": (0.0, 100.0),
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
    component_grid_px: int = 4
    """Parts are connected on blocks of this many pixels, so that gaps below it do not separate; 1 connects pixel by pixel (slow)."""
    low_percentile: float = 1.0
    """Of the 8-bit grey levels, per cent of pixels: what becomes 0 (linear between neighbouring levels)."""
    high_percentile: float = 99.0
    """What becomes 255."""
    percentile_over: PercentileOver = "crop"
    """The percentiles run over the valid pixels of the `crop` or of the whole `image`."""
    interpolation: Interpolation = "bilinear"
    """How the crop is resized where it is enlarged, or shrunk without `antialias`."""
    antialias: bool = True
    """Average over the source pixels that fall into one target pixel when shrinking. Without it bilinear keeps 4 of them and
    aliases: 89 % of the trabecular-scale texture survives from 3000 x 2500, much of it false (35 % with)."""
    keep_aspect: bool = False
    """False squeezes the crop into the square as `Resize((512, 512))` does; True pads the shorter side with black."""
    mean: float = 0.5
    """Subtracted from the 8-bit image / 255, all pixels alike."""
    std: float = 0.25
    """What the difference is divided by."""
    voi_policy: VoiPolicy = "tags"
    """`tags` applies the VOI LUT or window of the header and, without one, spreads the full range of values; `none` always spreads
    the full range; `percentile` ignores the header as well and spreads what lies between the two `voi` percentiles, clipping the
    rest. Ranges and percentiles are of the valid pixels' values after the modality LUT."""
    voi_low_percentile: float = 0.5
    """With `percentile`: the smallest value that at least so many per cent of the pixels do not exceed becomes 0."""
    voi_high_percentile: float = 99.5
    """With `percentile`: the value, found in the same way, that becomes full brightness."""
    accept_for_processing: bool = False
    """Also read images For Processing (raw detector data), for a network that was trained on such."""

    def __post_init__(self) -> None:
        wrong = [name for name, (low, high) in _RANGES.items() if not low <= getattr(self, name) <= high]
        if not self.low_percentile < self.high_percentile:
            wrong.append("low_percentile")
        if not self.voi_low_percentile < self.voi_high_percentile:
            wrong.append("voi_low_percentile")
        for name, value, allowed in (
            ("percentile_over", self.percentile_over, get_args(PercentileOver)),
            ("interpolation", self.interpolation, get_args(Interpolation)),
            ("voi_policy", self.voi_policy, get_args(VoiPolicy)),
        ):
            if value not in allowed:
                wrong.append(name)
        if wrong:
            raise ValueError(f"out of range: {', '.join(wrong)}")
