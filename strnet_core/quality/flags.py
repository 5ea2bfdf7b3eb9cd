"""The one table of quality and exclusion flags: what each number means, from where on it is too much, and what then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

Level = Literal["image", "knee"]
Action = Literal["refuse", "warn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One measure. Larger is worse; the flag is raised at its threshold and above."""

    level: Level
    meaning: str
    """What is measured, with its unit."""
    threshold: float
    action: Action


DEFAULT_FLAGS: Final[Mapping[str, Flag]] = MappingProxyType(
    {
        "blank": Flag(
            level="image",
            meaning="1 - (95th - 5th percentile of the grey) / range; 1 is one single grey",
            threshold=0.97,
            action="refuse",
        ),
        "polarity_suspect": Flag(
            level="image",
            meaning="median of the border ring less mean of what it surrounds, per grey range; above 0 the air seems to be bright",
            threshold=0.0,
            action="refuse",
        ),
        "lossy": Flag(level="image", meaning="1 if the pixels were ever compressed with loss, else 0", threshold=1.0, action="warn"),
        "burned_in_text": Flag(
            level="image",
            meaning="bright marks of a letter's size beside each other on one line, near the upper or lower edge",
            threshold=6.0,
            action="warn",
        ),
        "metal": Flag(
            level="knee",
            meaning="percent of the window around the joint that is metal: near white, sharply bounded, inside the leg",
            threshold=0.10,
            action="refuse",
        ),
        "not_a_knee": Flag(
            level="knee", meaning="0 for the median knee, 1 for what surrounds knees on their films", threshold=0.42, action="refuse"
        ),
        "small_matrix": Flag(
            level="knee",
            meaning="how many times the crop's shorter side is enlarged to fill the network's input; 1 is none",
            threshold=4.0,
            action="refuse",
        ),
        "underexposed": Flag(
            level="knee", meaning="1 - 95th percentile of the leg's grey / range; 1 is a black leg", threshold=0.80, action="refuse"
        ),
        "overexposed": Flag(level="knee", meaning="median of the leg's grey / range; 1 is a white leg", threshold=0.97, action="refuse"),
        "clipped": Flag(
            level="knee", meaning="share of the leg's pixels at the top or the bottom of the grey range", threshold=0.05, action="warn"
        ),
        "crop_fallback": Flag(
            level="knee", meaning="1 if too little foreground was found and the whole image was used, else 0", threshold=1.0, action="warn"
        ),
    }
)

DEFAULT_THRESHOLDS: Final[Mapping[str, float]] = MappingProxyType({code: flag.threshold for code, flag in DEFAULT_FLAGS.items()})


def raised(measures: Mapping[str, float], thresholds: Mapping[str, float] = DEFAULT_THRESHOLDS) -> tuple[str, ...]:
    """Codes of the measures at or above their threshold, in the order of the thresholds.

    A measure that is not a number is raised: what could not be measured is not known to be good. A code without a threshold is
    never raised.
    """
    return tuple(code for code, threshold in thresholds.items() if code in measures and not measures[code] < threshold)
