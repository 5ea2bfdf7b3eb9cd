"""How a training is run, and who looks on: nothing of this is part of the protocol."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from strnet_core.training.history import EpochRow

_CHECKPOINT_SECONDS = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    device: torch.device
    loader_threads: int = 2
    """Threads that read, preprocess and augment; the network has torch's own."""
    checkpoint_seconds: float = _CHECKPOINT_SECONDS
    """A state is written after the batch with which so long has gone by since the last, when it is asked to stop, and at the end of
    training: about 290 MB for ResNet-50. A kill loses no more than this."""
    initial_weights: Path | None = None
    """The file whose SHA-256 the settings name."""
    clock: Callable[[], float] | None = None
    """Seconds; None: the monotonic clock."""


class Watch(Protocol):
    """Who looks on. Asked after every batch."""

    def stop(self) -> bool:
        """Whether to write the state and end now."""
        ...

    def prepared(self, done: int, total: int) -> None:
        """So many films are read."""
        ...

    def patients_unknown(self, knees: int, of: int) -> None:
        """Before anything is trained: of so many knees the patient is unknown, so splits cannot keep their films together."""
        ...

    def stepped(self, fold: int, epoch: int, step: int, steps: int) -> None:
        """A batch is done; epoch and step from 1."""
        ...

    def epoch_done(self, fold: int, row: EpochRow) -> None:
        """An epoch is done."""
        ...
