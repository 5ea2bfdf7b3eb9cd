"""One fit from its first or its last written state to its end: epochs, validation, schedule, early stopping, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from strnet_core.bundle.durable_file import write_durably
from strnet_core.errors import ResearchExtraMissingError, TrainingRunError
from strnet_core.training.batches import Loader, epoch_order
from strnet_core.training.execution import Execution, Watch
from strnet_core.training.fit_state import Machinery, Place, load_state, save_state
from strnet_core.training.history import HISTORY, EpochRow, history_csv
from strnet_core.training.initial_weights import load_initial_weights
from strnet_core.training.knee_set import KneeSet
from strnet_core.training.losses import PositiveWeights, positive_weights
from strnet_core.training.settings import TrainingSettings
from strnet_core.training.splits import Indices, Part
from strnet_core.training.stepping import StepResult, predict, train_step
from strnet_core.training.variants import Trainee, build_trainee

STATE = "state.safetensors"
_KEPT = "kept-{:04d}.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A fit at its end."""

    place: Place
    weights: Path
    """Of the kept epoch, safetensors by the network's names."""


def fit(folder: Path, data: KneeSet, part: Part, settings: TrainingSettings, execution: Execution, watch: Watch) -> Fitted | None:
    """Train, from the state in `folder` where there is one. None where `watch` asked to stop: the state is written, call again.

    Torch's global random numbers are as before afterwards. Raises TrainingError and subclasses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    devices = [execution.device] if execution.device.type == "cuda" else []
    with torch.random.fork_rng(devices), Loader(data, settings, execution.loader_threads) as loader:
        return _Fit(folder, data, part, settings, execution, watch, loader).run()


def load_kept(settings: TrainingSettings, weights: Path, device: torch.device) -> Trainee:
    """A network with the weights of a fit, in evaluation mode. Raises TrainingRunError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    with torch.random.fork_rng([]):
        trainee = build_trainee(settings)
    try:
        trainee.network.load_state_dict(load_file(weights))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise TrainingRunError(f"{weights.name}: {type(error).__name__}") from error
    return _laid_out(trainee, settings, device).eval()


class _Fit:
    """Knows what does not change during a fit; where it is, is a value that is handed on."""

    def __init__(
        self, folder: Path, data: KneeSet, part: Part, settings: TrainingSettings, execution: Execution, watch: Watch, loader: Loader
    ) -> None:
        self.folder, self.part, self.settings, self.execution, self.watch, self.loader = folder, part, settings, execution, watch, loader
        self.data = data
        self.weights: PositiveWeights = positive_weights([data.knees[place] for place in part.train], settings.losses)
        torch.manual_seed(settings.seed)
        self.trainee = build_trainee(settings)
        if execution.initial_weights is not None and not self.state.exists():
            load_initial_weights(self.trainee, execution.initial_weights)
        _laid_out(self.trainee, settings, execution.device)
        self.machinery = _machinery(self.trainee, settings, execution.device)
        self.clock = execution.clock or time.monotonic
        self.written = self.clock()
        self.kept: tuple[int, dict[str, torch.Tensor]] | None = None

    @property
    def state(self) -> Path:
        return self.folder / STATE

    def run(self) -> Fitted | None:
        place = load_state(self.state, self.machinery) if self.state.exists() else Place()
        self.trainee.train()
        while not place.ended:
            place, whole = self._epoch(place)
            if not whole:
                self._save(place)
                return None
            place = self._close(place)
            self.watch.epoch_done(self.part.fold, place.history[-1])
            stopped = not place.ended and self.watch.stop()
            if place.ended or stopped or self._is_due():
                self._save(place)
            if stopped:
                return None
        if place.best_epoch is None:
            raise TrainingRunError("no epoch was kept")
        return Fitted(place=place, weights=self.folder / _KEPT.format(place.best_epoch))

    def _epoch(self, place: Place) -> tuple[Place, bool]:
        """The rest of an epoch; False where it was stopped before its end."""
        batches = epoch_order(self.part.train, self.settings, self.part.fold, place.epoch)
        for batch in self.loader.training(batches[place.step :], self.part.fold, place.epoch):
            begun = self.clock()
            result = train_step(batch, self.trainee, self.machinery, self.weights, self.settings, place.epoch)
            place = replace(place, step=place.step + 1, sums=_added(place.sums, result), seconds=place.seconds + self.clock() - begun)
            self.watch.stepped(self.part.fold, place.epoch + 1, place.step, len(batches))
            if place.step < len(batches):
                if self.watch.stop():
                    return place, False
                if self._is_due():
                    self._save(place)
        return place, True

    def _close(self, place: Place) -> Place:
        """Validate, move the schedule, keep the weights if they are the best so far, and see whether to go on."""
        loss, auprc, auroc = self._validation()
        learning_rate = float(self.machinery.optimizer.param_groups[0]["lr"])
        if auprc is not None:
            self.machinery.schedule.step(auprc)
        is_best = auprc is None or place.best_auprc is None or auprc > place.best_auprc
        means = StepResult(*(value / place.step for value in place.sums))
        row = EpochRow(
            epoch=place.epoch + 1, learning_rate=learning_rate, **means._asdict(),
            validation_loss=loss, validation_auprc=auprc, validation_auroc=auroc, seconds=place.seconds, is_best=is_best,
        )  # fmt: skip
        best = place.epoch if is_best else place.best_epoch
        ended = self._reason(place.epoch, best, validates=auprc is not None)
        if is_best and (auprc is not None or ended):
            self._keep(place.epoch)
        return Place(
            epoch=place.epoch + 1,
            history=(*place.history, row),
            best_epoch=best,
            best_auprc=auprc if is_best else place.best_auprc,
            ended=ended,
        )

    def _reason(self, epoch: int, best: int | None, *, validates: bool) -> str:
        optimisation = self.settings.optimisation
        if validates and best is not None and epoch - best >= optimisation.stop_patience:
            return "patience"
        return "epochs" if epoch + 1 >= optimisation.max_epochs else ""

    def _validation(self) -> tuple[float | None, float | None, float | None]:
        """Screening loss, AUPRC, AUROC; None where nothing validates."""
        places = self.part.validation
        if not places.size:
            return None, None, None
        logits = predict(self.trainee, self.loader, places, self.execution.device, self.settings, self.settings.arithmetic).screening
        truth = self._truth(places)
        weight = torch.tensor(self.weights.screening, dtype=torch.float64)
        loss = nn.functional.binary_cross_entropy_with_logits(torch.from_numpy(logits), torch.from_numpy(truth), pos_weight=weight)
        return float(loss), *areas(truth, logits)

    def _truth(self, places: Indices) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.array([float(self.data.knees[place].is_bone_loss) for place in places])

    def _keep(self, epoch: int) -> None:
        """In memory until the next state is written, which names the file."""
        state = self.trainee.network.state_dict()
        self.kept = (epoch, {name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in state.items()})

    def _is_due(self) -> bool:
        return self.clock() - self.written >= self.execution.checkpoint_seconds

    def _save(self, place: Place) -> None:
        """Weights before the state that names them; the former ones go only then, because the former state named those."""
        from safetensors.torch import save

        if self.kept is not None:
            epoch, state = self.kept
            write_durably(self.folder / _KEPT.format(epoch), save(state))
            self.kept = None
        save_state(self.state, self.machinery, place)
        write_durably(self.folder / HISTORY, history_csv(place.history).encode())
        self.written = self.clock()
        for path in self.folder.glob(_KEPT.format(0).replace("0000", "*")):
            if place.best_epoch is None or path.name != _KEPT.format(place.best_epoch):
                path.unlink()


def areas(
    truth: Sequence[float] | np.ndarray[tuple[int], np.dtype[np.float64]], logits: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> tuple[float, float]:
    """AUPRC (average precision) and AUROC of bone loss. Raises ResearchExtraMissingError without scikit-learn."""
    try:
        from sklearn.metrics import average_precision_score, roc_auc_score
    except ImportError as error:
        raise ResearchExtraMissingError("scikit-learn") from error
    return float(average_precision_score(truth, logits)), float(roc_auc_score(truth, logits))


def _machinery(trainee: Trainee, settings: TrainingSettings, device: torch.device) -> Machinery:
    chosen = settings.optimisation
    optimizer = torch.optim.AdamW(trainee.parameters(), lr=chosen.learning_rate, weight_decay=chosen.weight_decay)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode="max", factor=chosen.plateau_factor, patience=chosen.plateau_patience
    )
    return Machinery(network=trainee.network, optimizer=optimizer, schedule=schedule, device=device)


def _laid_out(trainee: Trainee, settings: TrainingSettings, device: torch.device) -> Trainee:
    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    return trainee.to(device=device, memory_format=layout)  # type: ignore[call-overload, no-any-return]


def _added(sums: tuple[float, ...], result: StepResult) -> tuple[float, ...]:
    return tuple(result) if not sums else tuple(math.fsum(pair) for pair in zip(sums, result, strict=True))
