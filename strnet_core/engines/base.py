"""What every engine is. Imports no torch, so that whoever only handles predictions stays light."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from strnet_core.errors import ImplausibleOutputError

UInt8Images = npt.NDArray[np.uint8]
SaliencyMap = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Covariates:
    """What the T-score branch needs beside the image. Raises ValueError for a value that no patient has."""

    age_years: float
    sex: Literal["M", "F"]
    bmi: float
    """kg/m2."""

    def __post_init__(self) -> None:
        if not (0.0 <= self.age_years <= 130.0 and self.sex in ("M", "F") and 5.0 <= self.bmi <= 120.0):  # noqa: PLR2004
            raise ValueError("age 0..130 years, sex M or F and BMI 5..120 kg/m2 are expected")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prediction:
    """What the network says of one image. Raises ImplausibleOutputError where a value is not finite."""

    screening_logit: float
    severity_logit: float
    t_score: float | None
    """None without covariates."""
    saliency: SaliencyMap
    """(16, 16) float32, 0 and up, not normalised: Grad-CAM of the screening logit."""
    profile: str
    """Engine, device and arithmetic that computed this very prediction: after a fall back it is not the engine's own."""

    def __post_init__(self) -> None:
        numbers = (self.screening_logit, self.severity_logit, 0.0 if self.t_score is None else self.t_score)
        if not all(math.isfinite(number) for number in numbers) or not np.isfinite(self.saliency).all():
            raise ImplausibleOutputError


class Engine(Protocol):
    """Runs one bundle on one device. Safe to call from one thread at a time."""

    @property
    def profile(self) -> str:
        """Engine, device and arithmetic that it was opened for, e.g. `torch-cpu-float32`; see `profiles.Profile`."""
        ...

    @property
    def batch(self) -> int:
        """Images that it computes in one pass at present; a larger batch is cut."""
        ...

    def predict(self, images: UInt8Images, covariates: tuple[Covariates | None, ...]) -> tuple[Prediction, ...]:
        """One prediction per image of (n, size, size) uint8, in order; each names the profile that computed it.

        Raises ImplausibleOutputError, DeviceMemoryError and ValueError (a batch of the wrong shape).
        """
        ...


def check_batch(images: UInt8Images, covariates: tuple[Covariates | None, ...], size_px: int) -> None:
    """Raises ValueError where the batch is not what an engine takes."""
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (size_px, size_px):  # noqa: PLR2004
        raise ValueError(f"expected (n, {size_px}, {size_px}) uint8, not {images.shape} {images.dtype}")
    if len(covariates) != images.shape[0]:
        raise ValueError(f"{images.shape[0]} images with {len(covariates)} covariates")
