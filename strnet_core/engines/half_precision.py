"""Weights rounded to float16 for a smaller file, and how far the rounded network is from the one that was trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from strnet_core.bundle import CovariateScaling, PreprocessingSettings, is_reached
from strnet_core.engines.equivalence import compare
from strnet_core.engines.torch_engine import TorchEngine
from strnet_core.errors import ArchitectureError
from strnet_core.network.build import build_strnet_with, may_be_half
from strnet_core.preprocessing import UInt8Image

Weights = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfFigures:
    """The rounded weights against the trained ones, both computed in float32 by the reference."""

    images: int
    max_screening: float
    """Largest difference of a logit."""
    max_severity: float
    max_t_score: float
    flips: int | None
    """Decisions that came out differently; None without a threshold."""
    nearest: float | None
    """How near a trained network's score came to the threshold."""


def halved(weights: Weights) -> dict[str, npt.NDArray[np.generic]]:
    """Matrices and kernels as float16, rounded to nearest; all else as it is. Raises ArchitectureError where one leaves its range."""
    with np.errstate(over="ignore"):
        rounded = {name: array.astype(np.float16) if may_be_half(array) else array for name, array in weights.items()}
    beyond = sorted(name for name, array in rounded.items() if not np.isfinite(array).all())
    if beyond:
        raise ArchitectureError(f"beyond float16: {', '.join(beyond[:5])}")
    return rounded


def half_figures(
    weights: Weights,
    rounded: Weights,
    images: Iterable[UInt8Image],
    settings: PreprocessingSettings,
    scaling: CovariateScaling,
    threshold: float | None,
) -> HalfFigures:
    """Every image through both, at least one."""
    trained, stored = (TorchEngine(build_strnet_with(each), settings, torch.device("cpu"), scaling=scaling) for each in (weights, rounded))
    (pairs,) = compare(trained, [stored], images).values()
    screening = [(pair.reference.screening_logit, pair.profile.screening_logit) for pair in pairs]
    return HalfFigures(
        images=len(pairs),
        max_screening=max(abs(one - other) for one, other in screening),
        max_severity=max(abs(pair.reference.severity_logit - pair.profile.severity_logit) for pair in pairs),
        max_t_score=max(abs((pair.reference.t_score or 0.0) - (pair.profile.t_score or 0.0)) for pair in pairs),
        flips=None if threshold is None else sum(is_reached(one, threshold) != is_reached(other, threshold) for one, other in screening),
        nearest=None if threshold is None else min(abs(_score(one) - threshold) for one, _ in screening),
    )


def _score(logit: float) -> float:
    return float(1.0 / (1.0 + np.exp(-logit)))
