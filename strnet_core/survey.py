"""Everything between a radiograph and the network's input: how many knees, each knee's input, and what speaks against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from strnet_core.bundle.settings import PreprocessingSettings
from strnet_core.knees import count_knees, knee_likeness, split_knees
from strnet_core.preprocessing import Preprocessed, preprocess
from strnet_core.quality import blank, burned_in_text, clipped, joint_window, metal, overexposed, polarity_suspect, underexposed
from strnet_core.quality.exposure import leg_of
from strnet_core.radiograph import Radiograph
from strnet_core.small_image import SmallImage, small_image

UInt8Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SurveyedKnee:
    """One knee: where it is, what the network will see, and the measures of `strnet_core.quality` at knee level."""

    position: int
    """1, 2 from the image's left."""
    left: int
    """Crop in source pixels of the whole image; right and bottom are exclusive."""
    top: int
    right: int
    bottom: int
    image: UInt8Image
    """(size, size) uint8, 0..255: the network's input before the float step."""
    sha256: str
    """SHA-256 (hex) of the image's bytes, row by row."""
    measures: Mapping[str, float]
    """By flag code; larger is worse."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Survey:
    """A whole radiograph."""

    knees: tuple[SurveyedKnee, ...]
    """From the image's left to its right; one or two."""
    valley_column: int | None
    """Column of the radiograph between the two knees; None for one."""
    measures: Mapping[str, float]
    """Measures at image level by flag code; larger is worse."""


def survey(radiograph: Radiograph, settings: PreprocessingSettings) -> Survey:
    """Count, split, preprocess and measure. Decides nothing: `strnet_core.quality.raised` does, with thresholds.

    Raises EmptyImageError where nothing is valid.
    """
    small = small_image(radiograph)
    count = count_knees(small)
    parts = split_knees(radiograph, count)
    columns = small.grey.shape[1]
    middle = columns if count.valley_column is None else min(max(round(count.valley_column / small.scale), 1), columns - 1)
    smalls = (small,) if len(parts) == 1 else (small.crop_columns(0, middle), small.crop_columns(middle, columns))
    starts = (0, count.valley_column or 0)
    pairs = zip(starts, parts, smalls, strict=False)
    knees = tuple(_surveyed(number, start, part, part_small, settings) for number, (start, part, part_small) in enumerate(pairs, 1))
    return Survey(knees=knees, valley_column=count.valley_column, measures=MappingProxyType(_of_image(radiograph, small)))


def _of_image(radiograph: Radiograph, small: SmallImage) -> dict[str, float]:
    return {
        "blank": blank(small),
        "polarity_suspect": polarity_suspect(small),
        "lossy": float("lossy" in radiograph.notes),
        "burned_in_text": burned_in_text(radiograph, small),
    }


def _surveyed(number: int, start: int, part: Radiograph, small: SmallImage, settings: PreprocessingSettings) -> SurveyedKnee:
    prepared = preprocess(part, settings)
    return SurveyedKnee(
        position=number,
        left=start + prepared.left,
        top=prepared.top,
        right=start + prepared.right,
        bottom=prepared.bottom,
        image=prepared.image,
        sha256=prepared.sha256,
        measures=MappingProxyType(_of_knee(part, small, prepared, settings)),
    )


def _of_knee(part: Radiograph, small: SmallImage, prepared: Preprocessed, settings: PreprocessingSettings) -> dict[str, float]:
    leg = leg_of(small.grey)
    likeness = knee_likeness(small.grey)
    across, down = part.columns / small.grey.shape[1], part.rows / small.grey.shape[0]
    window = joint_window(part, x=likeness.x * across, y=likeness.y * down, side=likeness.side * across, low=small.low, high=small.high)
    shorter = min(prepared.right - prepared.left, prepared.bottom - prepared.top)
    return {
        "metal": metal(window),
        "not_a_knee": likeness.not_a_knee,
        "small_matrix": max(1.0, settings.size_px / shorter),
        "underexposed": underexposed(small.grey, leg),
        "overexposed": overexposed(small.grey, leg),
        "clipped": clipped(small.grey, leg),
        "crop_fallback": float(prepared.fallback),
    }
