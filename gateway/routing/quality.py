"""Measured quality against the site's table: what refuses a knee or an image, and what is only said with its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.config import QualitySettings
from gateway.domain.outcome import InstanceOutcome

CODES: Final[Mapping[str, InstanceOutcome]] = {
    "blank": InstanceOutcome.QUALITY_BLANK,
    "polarity_suspect": InstanceOutcome.QUALITY_POLARITY_SUSPECT,
    "not_a_knee": InstanceOutcome.INELIGIBLE_NOT_A_KNEE,
    "metal": InstanceOutcome.EXCLUDED_METAL,
    "small_matrix": InstanceOutcome.QUALITY_SMALL_MATRIX,
    "underexposed": InstanceOutcome.QUALITY_UNDEREXPOSED,
    "overexposed": InstanceOutcome.QUALITY_OVEREXPOSED,
    "clipped": InstanceOutcome.QUALITY_CLIPPED,
    "crop_fallback": InstanceOutcome.QUALITY_CROP_FALLBACK,
    "lossy": InstanceOutcome.QUALITY_LOSSY,
    "burned_in_text": InstanceOutcome.QUALITY_BURNED_IN_TEXT,
}
"""The outcome of each flag where the site lets it refuse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """refusal: code of the first flag that refuses, in the order of the table. warnings: raised flags that do not."""

    refusal: InstanceOutcome | None
    warnings: tuple[str, ...]


def judge(measures: Mapping[str, float], settings: QualitySettings) -> Judgement:
    """`measures`: those of one knee together with those of its image. A flag is raised when its value reaches the threshold.

    A flag that was not measured is passed over. A value that is no number counts as raised: what could not be measured is not
    known to be good.
    """
    raised = [(name, flag.action) for name, flag in settings.flags if name in measures and not measures[name] < flag.threshold]
    refusals = [CODES[name] for name, action in raised if action == "refuse"]
    return Judgement(refusal=refusals[0] if refusals else None, warnings=tuple(name for name, action in raised if action == "warn"))
