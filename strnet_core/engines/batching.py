"""What all engines share: batches cut to what a runner takes, memory that runs out, and arrays that become predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from strnet_core.bundle import PreprocessingSettings
from strnet_core.engines.base import Covariates, Prediction, UInt8Images, check_batch
from strnet_core.errors import DeviceMemoryError, ImplausibleOutputError

CovariateRows = npt.NDArray[np.float32]
"""(n, 3) float32, as the T-score branch takes them; zeros where there are none."""
Encode = Callable[[Covariates], tuple[float, float, float]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Readings:
    """What a runner returns for n images. Raises ImplausibleOutputError where any of it is not finite."""

    screening: npt.NDArray[np.float64]
    """(n,) logits."""
    severity: npt.NDArray[np.float64]
    """(n,) logits."""
    t_score: npt.NDArray[np.float64]
    """(n,); without meaning where the row of covariates was made up."""
    saliency: npt.NDArray[np.float32]
    """(n, h, w)."""

    def __post_init__(self) -> None:
        if not all(np.isfinite(part).all() for part in (self.screening, self.severity, self.t_score, self.saliency)):
            raise ImplausibleOutputError


class Runner(Protocol):
    """One network on one device, in one arithmetic."""

    @property
    def profile(self) -> str: ...

    @property
    def max_batch(self) -> int:
        """Images that `run` takes at once."""
        ...

    def run(self, images: UInt8Images, covariates: CovariateRows) -> Readings:
        """Images (n, size, size) uint8, 1 <= n <= max_batch. Raises DeviceMemoryError and ImplausibleOutputError."""
        ...


class BatchedEngine:
    """The `Engine` over a runner.

    A batch is cut into parts of at most `runner.max_batch`. Where the device runs out of memory the parts are halved, down to one
    image, and stay halved; where one image is too much, the rest of the batch goes to the runner that `fallback` opens (once).
    """

    def __init__(
        self, runner: Runner, settings: PreprocessingSettings, encode: Encode, fallback: Callable[[], Runner] | None = None
    ) -> None:
        self._runner = runner
        self._settings = settings
        self._encode = encode
        self._open_fallback = fallback
        self._fallback: Runner | None = None
        self._batch = runner.max_batch

    @property
    def profile(self) -> str:
        return self._runner.profile

    @property
    def batch(self) -> int:
        """Images per pass at present: less than the runner's own once the device has run out of memory."""
        return self._batch

    def predict(self, images: UInt8Images, covariates: tuple[Covariates | None, ...]) -> tuple[Prediction, ...]:
        """See `Engine.predict`."""
        check_batch(images, covariates, self._settings.size_px)
        predictions: list[Prediction] = []
        while len(predictions) < images.shape[0]:
            start = len(predictions)
            try:
                predictions += self._pass(self._runner, images, covariates, start, self._batch)
            except DeviceMemoryError:
                if self._batch > 1:
                    self._batch //= 2
                    continue
                runner = self._fallback_runner()
                if runner is None:
                    raise
                predictions += self._pass(runner, images, covariates, start, runner.max_batch)
        return tuple(predictions)

    def _pass(
        self, runner: Runner, images: UInt8Images, covariates: tuple[Covariates | None, ...], start: int, count: int
    ) -> list[Prediction]:
        part = slice(start, start + count)
        given = covariates[part]
        rows = np.array([(0.0, 0.0, 0.0) if values is None else self._encode(values) for values in given], np.float32)
        return predictions_of(runner.run(images[part], rows), given, runner.profile)

    def _fallback_runner(self) -> Runner | None:
        if self._fallback is None and self._open_fallback is not None:
            self._fallback = self._open_fallback()
        return self._fallback


def predictions_of(readings: Readings, covariates: tuple[Covariates | None, ...], profile: str) -> list[Prediction]:
    """One prediction per row of covariates, in order. Raises ImplausibleOutputError where the counts differ."""
    if readings.screening.shape[0] != len(covariates):
        raise ImplausibleOutputError(f"{readings.screening.shape[0]} readings of {len(covariates)} images")
    return [
        Prediction(
            screening_logit=float(readings.screening[index]),
            severity_logit=float(readings.severity[index]),
            t_score=None if values is None else float(readings.t_score[index]),
            saliency=np.array(readings.saliency[index], np.float32),
            profile=profile,
        )
        for index, values in enumerate(covariates)
    ]


def size_for(count: int, sizes: tuple[int, ...]) -> int:
    """The smallest of the ascending sizes that holds `count` images. Raises ValueError where none does."""
    for size in sizes:
        if count <= size:
            return size
    raise ValueError(f"{count} images in a batch of at most {max(sizes, default=0)}")
