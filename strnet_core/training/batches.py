"""Knees to tensors, in an order and with changes that depend on seed, fold, epoch and knee alone: a resumed run sees the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from strnet_core.preprocessing import to_input
from strnet_core.training.augmentation import augmented
from strnet_core.training.knee_set import Knee, KneeSet
from strnet_core.training.settings import TrainingSettings
from strnet_core.training.splits import Indices

_ORDER, _CHANGE = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Targets:
    """What is known of n knees; (n,) float32 but for the covariates."""

    bone_loss: Tensor
    """0 or 1."""
    osteoporosis: Tensor
    """0 or 1; counts where `bone_loss` is 1."""
    t_score: Tensor
    """0 where unknown."""
    has_t_score: Tensor
    """1 where the T-score and all three covariates are known."""
    covariates: Tensor
    """(n, 3) as `CovariateScaling.encode`; zeros where one is unknown."""

    def part(self, window: slice, device: torch.device) -> Targets:
        """Some of them, on a device."""
        names = ("bone_loss", "osteoporosis", "t_score", "has_t_score", "covariates")
        return Targets(**{name: getattr(self, name)[window].to(device) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    images: npt.NDArray[np.float32]
    """(n, 1, size, size) float32."""
    targets: Targets


def targets_of(knees: Sequence[Knee], settings: TrainingSettings) -> Targets:
    """Targets on the processor."""
    labels = torch.tensor([knee.film.label for knee in knees])
    known = [knee.film.t_score is not None and knee.has_covariates for knee in knees]
    return Targets(
        bone_loss=(labels > 0).float(),
        osteoporosis=(labels == 2).float(),  # noqa: PLR2004
        t_score=torch.tensor([knee.film.t_score or 0.0 for knee in knees], dtype=torch.float32),
        has_t_score=torch.tensor(known, dtype=torch.float32),
        covariates=torch.tensor([_covariates(knee, settings) for knee in knees], dtype=torch.float32).reshape(-1, 3),
    )


def _covariates(knee: Knee, settings: TrainingSettings) -> tuple[float, float, float]:
    film = knee.film
    if film.age_years is None or film.sex is None or film.bmi is None:
        return 0.0, 0.0, 0.0
    return settings.covariates.encode(film.age_years, male=film.sex == "M", bmi=film.bmi)


def epoch_order(places: Indices, settings: TrainingSettings, fold: int, epoch: int) -> list[Indices]:
    """The batches of an epoch: all places once, shuffled. A last batch of one knee joins the one before, for batch norm."""
    shuffled = np.random.default_rng((settings.seed, fold, epoch, _ORDER)).permutation(places)
    size = settings.optimisation.batch_size
    cuts = list(range(size, len(shuffled), size))
    if cuts and len(shuffled) - cuts[-1] == 1:
        cuts.pop()
    return np.split(shuffled, cuts)


class Loader:
    """Makes batches on threads of its own, one ahead of what is asked for."""

    def __init__(self, data: KneeSet, settings: TrainingSettings, threads: int) -> None:
        self._data = data
        self._settings = settings
        self._pool = ThreadPoolExecutor(max(1, threads))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def training(self, batches: Sequence[Indices], fold: int, epoch: int) -> Iterator[Batch]:
        """With augmentation."""
        return self._ahead(batches, (fold, epoch))

    def plain(self, places: Indices) -> Iterator[Batch]:
        """Without, in order."""
        size = self._settings.optimisation.micro_batch_size or self._settings.optimisation.batch_size
        return self._ahead([places[start : start + size] for start in range(0, len(places), size)], None)

    def _ahead(self, batches: Sequence[Indices], when: tuple[int, int] | None) -> Iterator[Batch]:
        waiting: list[Future[npt.NDArray[np.uint8]]] = []
        for number, places in enumerate(batches):
            futures = waiting or self._begin(places, when)
            waiting = self._begin(batches[number + 1], when) if number + 1 < len(batches) else []
            images = np.stack([future.result() for future in futures])
            knees = [self._data.knees[place] for place in places]
            yield Batch(images=to_input(images, self._settings.preprocessing), targets=targets_of(knees, self._settings))

    def _begin(self, places: Indices, when: tuple[int, int] | None) -> list[Future[npt.NDArray[np.uint8]]]:
        return [self._pool.submit(self._image, int(place), when) for place in places]

    def _image(self, place: int, when: tuple[int, int] | None) -> npt.NDArray[np.uint8]:
        image: npt.NDArray[np.uint8] = self._data.images[place]
        if when is None:
            return image
        return augmented(image, self._settings.augmentation, np.random.default_rng((self._settings.seed, *when, _CHANGE, place)))
