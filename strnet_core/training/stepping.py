"""One step of training, and passes without training, on a device and in an arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from strnet_core.engines.device_pass import exact_float32
from strnet_core.errors import TrainingError
from strnet_core.training.batches import Batch, Loader
from strnet_core.training.fit_state import Machinery
from strnet_core.training.losses import Counts, Losses, PositiveWeights, losses
from strnet_core.training.settings import Arithmetic, TrainingSettings
from strnet_core.training.splits import Indices
from strnet_core.training.variants import Outputs, Trainee

Float64Array = npt.NDArray[np.float64]


class StepResult(NamedTuple):
    """Of one batch; losses without their lambdas but for the first."""

    loss: float
    screening: float
    severity: float
    t_score: float
    false_positive: float
    gradient_norm: float
    """Before clipping."""


class Predicted(NamedTuple):
    """(n,) float64 each; NaN where the network has no such head."""

    screening: Float64Array
    severity: Float64Array
    t_score: Float64Array


def train_step(
    batch: Batch, trainee: Trainee, machinery: Machinery, weights: PositiveWeights, settings: TrainingSettings, epoch: int
) -> StepResult:
    """Forward, backward, clip, step. Raises TrainingError where the loss is no finite number: nothing is stepped then."""
    counts = Counts.of(batch.targets)
    summed = np.zeros(5)
    for window in _pieces(len(batch.images), settings.optimisation.micro_batch_size):
        targets = batch.targets.part(window, machinery.device)
        with _exact(settings.arithmetic):
            with _autocast(machinery.device, settings.arithmetic):
                outputs: Outputs = trainee(_on(batch.images[window], machinery.device, settings), targets.covariates)
            each = losses(outputs, targets, counts, weights, settings.losses, epoch)
            total = each.total(settings.losses)
            total.backward()  # type: ignore[no-untyped-call]
        summed += _numbers(total, each)
    if not np.isfinite(summed).all():
        raise TrainingError("the loss is no finite number; lower the learning rate, or look at the data")
    norm = torch.nn.utils.clip_grad_norm_(trainee.parameters(), settings.optimisation.max_gradient_norm)
    machinery.optimizer.step()
    machinery.optimizer.zero_grad(set_to_none=True)
    return StepResult(*(*summed.tolist(), float(norm)))


def predict(
    trainee: Trainee, loader: Loader, places: Indices, device: torch.device, settings: TrainingSettings, arithmetic: Arithmetic
) -> Predicted:
    """In evaluation mode, without augmentation; puts the former mode back."""
    found: list[Float64Array] = []
    was_training = trainee.training
    trainee.eval()
    with torch.inference_mode():
        for batch in loader.plain(places):
            with _autocast(device, arithmetic), _exact(arithmetic):
                outputs: Outputs = trainee(_on(batch.images, device, settings), batch.targets.covariates.to(device))
            missing = torch.full_like(outputs.screening, torch.nan)
            values = torch.stack([missing if value is None else value for value in outputs])
            found.append(values.double().cpu().numpy())
    trainee.train(was_training)
    return Predicted(*np.concatenate(found, axis=1)) if found else Predicted(*np.empty((3, 0)))


def _pieces(total: int, size: int) -> Iterator[slice]:
    """Windows of nearly equal sizes, at most `size` (0: all)."""
    number = -(-total // size) if size else 1
    edges = np.linspace(0, total, number + 1).round().astype(int).tolist()
    return (slice(start, stop) for start, stop in pairwise(edges))


def _on(images: npt.NDArray[np.float32], device: torch.device, settings: TrainingSettings) -> Tensor:
    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    return torch.from_numpy(images).to(device=device, memory_format=layout)


def _autocast(device: torch.device, arithmetic: Arithmetic) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=arithmetic == "bfloat16")


def _exact(arithmetic: Arithmetic) -> AbstractContextManager[None]:
    """float32 is float32 also on a card, forward and backward; bfloat16 leaves torch's own choices."""
    return exact_float32() if arithmetic == "float32" else nullcontext()


def _numbers(total: Tensor, each: Losses) -> Float64Array:
    values = torch.stack([total, each.screening, each.severity, each.t_score, each.false_positive])
    return np.asarray(values.detach().double().cpu().numpy())
