"""Everything between a radiograph and the network's input: how many knees, each knee's input, and what speaks against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from strnet_core.bundle.settings import PreprocessingSettings
from strnet_core.foreground import Foreground, find_foreground
from strnet_core.knees import KneeCount, count_knees, knee_likeness, split_knees
from strnet_core.preprocessing import Preprocessed, preprocess
from strnet_core.quality import blank, burned_in_text, clipped, joint_window, metal, overexposed, polarity_suspect, underexposed
from strnet_core.quality.exposure import leg_of
from strnet_core.radiograph import Radiograph
from strnet_core.radiograph.opencv import memory_errors
from strnet_core.small_image import SmallImage, shrunk

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Leg:
    """What belongs to one knee. start: its first column in the radiograph."""

    start: int
    prepared: Preprocessed
    grey: UInt8Image
    """On the scale of the whole radiograph, (rows, cols) uint8."""
    small: SmallImage


@memory_errors()
def survey(radiograph: Radiograph, settings: PreprocessingSettings) -> Survey:
    """Count, split, preprocess and measure. Decides nothing: `strnet_core.quality.raised` does, with thresholds.

    Raises EmptyImageError where nothing is valid.
    """
    whole = find_foreground(radiograph)
    small = shrunk(whole.grey, whole.valid)
    image = _of_image(radiograph, whole.grey, small)
    # an inverted knee is a knee, and its grey scale is what is wrong with it: it is looked for the right way up
    inverted = image["polarity_suspect"] > 0.0
    count = count_knees(small.inverted() if inverted else small)
    legs = _legs(radiograph, whole, small, count, settings)
    knees = tuple(_surveyed(position, leg, settings, inverted=inverted) for position, leg in enumerate(legs, 1))
    return Survey(knees=knees, valley_column=count.valley_column, measures=MappingProxyType(image))


def _legs(
    radiograph: Radiograph, whole: Foreground, small: SmallImage, count: KneeCount, settings: PreprocessingSettings
) -> tuple[_Leg, ...]:
    """One or two; of a single knee the foreground is found already."""
    if count.valley_column is None:
        return (_Leg(start=0, prepared=preprocess(radiograph, settings, whole), grey=whole.grey, small=small),)
    first, second = split_knees(radiograph, count)
    column, columns = count.valley_column, small.grey.shape[1]
    middle = min(max(round(column / small.scale), 1), columns - 1)
    return (
        _Leg(start=0, prepared=preprocess(first, settings), grey=whole.grey[:, :column], small=small.crop_columns(0, middle)),
        _Leg(start=column, prepared=preprocess(second, settings), grey=whole.grey[:, column:], small=small.crop_columns(middle, columns)),
    )


def _of_image(radiograph: Radiograph, grey: UInt8Image, small: SmallImage) -> dict[str, float]:
    return {
        "blank": blank(small),
        "polarity_suspect": polarity_suspect(small),
        "lossy": float("lossy" in radiograph.notes),
        "burned_in_text": burned_in_text(grey),
    }


def _surveyed(position: int, leg: _Leg, settings: PreprocessingSettings, *, inverted: bool) -> SurveyedKnee:
    prepared = leg.prepared
    return SurveyedKnee(
        position=position,
        left=leg.start + prepared.left,
        top=prepared.top,
        right=leg.start + prepared.right,
        bottom=prepared.bottom,
        image=prepared.image,
        sha256=prepared.sha256,
        measures=MappingProxyType(_of_knee(leg, settings, inverted=inverted)),
    )


def _of_knee(leg: _Leg, settings: PreprocessingSettings, *, inverted: bool) -> dict[str, float]:
    small, prepared = leg.small, leg.prepared
    inside = leg_of(small.grey)
    likeness = knee_likeness((small.inverted() if inverted else small).grey)
    across, down = leg.grey.shape[1] / small.grey.shape[1], leg.grey.shape[0] / small.grey.shape[0]
    window = joint_window(leg.grey, x=likeness.x * across, y=likeness.y * down, side=likeness.side * across)
    shorter = min(prepared.right - prepared.left, prepared.bottom - prepared.top)
    return {
        "metal": metal(window),
        "not_a_knee": likeness.not_a_knee,
        "small_matrix": max(1.0, settings.size_px / shorter),
        "underexposed": underexposed(small.grey, inside),
        "overexposed": overexposed(small.grey, inside),
        "clipped": clipped(small.grey, inside),
        "crop_fallback": float(prepared.fallback),
    }
