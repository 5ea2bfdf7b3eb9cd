"""What a promotion rests on: the report of `strnet validate` on the site's own patients, and the least that it must hold. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

INTENDED_FROM_YEARS: Final = 50
"""The T-score classes that labels rest on are WHO's, for women after menopause and men of 50 and over; younger knees are no evidence."""
MINIMUM_WITH_BONE_LOSS: Final = 50
"""Patients in the intended ages. With 50 the 95 % interval of a sensitivity of 0.86 is about 0.74 to 0.93."""
MINIMUM_NORMAL: Final = 50
NO_BETTER_THAN_CHANCE: Final = 0.5
_HASH: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleEvidence:
    """Figures of the patients in the intended ages, at the bundle's own threshold."""

    bundle_hash: str
    with_bone_loss: int
    normal: int
    auroc: float | None
    auroc_low: float | None
    """Lower end of the 95 % interval; None where it could not be measured."""
    sensitivity: float | None
    specificity: float | None
    from_years: int
    """The ages that the figures are of begin here."""


def read_evidence(content: bytes) -> BundleEvidence:
    """Of a report.json of `strnet validate`. ValueError says what it is not."""
    try:
        document = json.loads(content)
        validation = document["validation"]
        ages = validation["intended_ages"]
        evidence = BundleEvidence(
            bundle_hash=_text(validation["bundle_hash"]),
            with_bone_loss=_count(ages["with_bone_loss"]),
            normal=_count(ages["normal"]),
            auroc=_figure(ages["auroc"], "value"),
            auroc_low=_figure(ages["auroc"], "low"),
            sensitivity=_figure(ages["sensitivity"], "value"),
            specificity=_figure(ages["specificity"], "value"),
            from_years=_count(ages["from_years"]),
        )
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError("the evidence is no JSON file") from error
    except (KeyError, TypeError) as error:
        raise ValueError("the evidence is no report.json of `strnet validate`") from error
    return evidence


def why_not(evidence: BundleEvidence, bundle_hash: str, *, assessed_from_years: int) -> str | None:
    """The first thing that speaks against a promotion on this evidence, or None. assessed_from_years: the site's youngest patients."""
    refusals = (
        (evidence.bundle_hash != bundle_hash, f"the evidence is of bundle {evidence.bundle_hash[:12]}"),
        (
            evidence.from_years < INTENDED_FROM_YEARS,
            f"the figures are of {evidence.from_years} years and over, the intended ages begin with {INTENDED_FROM_YEARS}",
        ),
        (
            assessed_from_years < evidence.from_years,
            f"eligibility.min_age_years is {assessed_from_years}, and there is no evidence below {evidence.from_years}",
        ),
        (
            evidence.with_bone_loss < MINIMUM_WITH_BONE_LOSS,
            f"{evidence.with_bone_loss} patients with bone loss in the intended ages, at least {MINIMUM_WITH_BONE_LOSS} are needed",
        ),
        (
            evidence.normal < MINIMUM_NORMAL,
            f"{evidence.normal} normal patients in the intended ages, at least {MINIMUM_NORMAL} are needed",
        ),
        (
            evidence.auroc_low is None or evidence.auroc_low <= NO_BETTER_THAN_CHANCE,
            "the AUROC in the intended ages is not shown to be above 0.5",
        ),
    )
    return next((reason for holds, reason in refusals if holds), None)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) != _HASH:
        raise TypeError("a hash")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError("a count")
    return value


def _figure(value: Mapping[str, Any], name: str) -> float | None:
    found = value.get(name)
    if found is None:
        return None
    if type(found) not in (int, float) or not math.isfinite(found):
        raise TypeError("a figure")
    return float(found)
