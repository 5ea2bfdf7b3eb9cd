"""The state of a fit in one file, so that it is one moment's: weights, optimizer, schedule, random numbers, history, place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from strnet_core.bundle.durable_file import write_durably
from strnet_core.errors import TrainingRunError
from strnet_core.training.history import EpochRow

_SCHEMA = "1"
_NETWORK, _OPTIMIZER, _RANDOM = "network.", "optimizer.", "random."


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a fit is. Epochs and steps from 0: the next ones to do."""

    epoch: int = 0
    step: int = 0
    sums: tuple[float, ...] = ()
    """Of the epoch's steps that are done."""
    seconds: float = 0.0
    """They took."""
    history: tuple[EpochRow, ...] = ()
    best_epoch: int | None = None
    """Index of the epoch whose weights are kept."""
    best_auprc: float | None = None
    ended: str = ""
    """Why training ended: `epochs` or `patience`; empty while it has not."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Machinery:
    """What changes with every step."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.ReduceLROnPlateau
    device: torch.device


def save_state(path: Path, machinery: Machinery, place: Place) -> None:
    """Durably, in the place of the former state: a kill leaves the one or the other."""
    from safetensors.torch import save

    optimizer = machinery.optimizer.state_dict()
    tensors = {f"{_NETWORK}{name}": tensor for name, tensor in machinery.network.state_dict().items()}
    for number, values in optimizer["state"].items():
        tensors |= {f"{_OPTIMIZER}{number}.{name}": tensor for name, tensor in values.items()}
    tensors[f"{_RANDOM}cpu"] = torch.get_rng_state()
    if machinery.device.type == "cuda":
        tensors[f"{_RANDOM}cuda"] = torch.cuda.get_rng_state(machinery.device)
    told = {"groups": optimizer["param_groups"], "schedule": machinery.schedule.state_dict(), "place": asdict(place)}
    # in the same file as the tensors: two files could be of two moments after a kill
    write_durably(path, save({name: _plain(tensor) for name, tensor in tensors.items()}, {"schema": _SCHEMA, "state": json.dumps(told)}))


def load_state(path: Path, machinery: Machinery) -> Place:
    """Put a state back, torch's random numbers included. Raises TrainingRunError where it is damaged or another network's."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata.get("schema") != _SCHEMA:
            raise TrainingRunError(f"{path.name} was written by another release")
        told = json.loads(metadata["state"])
        _restore(machinery, tensors, told)
        return _place(told["place"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise TrainingRunError(f"{path.name}: {type(error).__name__}") from error


def _restore(machinery: Machinery, tensors: Mapping[str, Tensor], told: Mapping[str, Any]) -> None:
    machinery.network.load_state_dict(_below(tensors, _NETWORK))
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _below(tensors, _OPTIMIZER).items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = tensor
    machinery.optimizer.load_state_dict({"state": state, "param_groups": told["groups"]})
    machinery.schedule.load_state_dict(told["schedule"])
    torch.set_rng_state(tensors[f"{_RANDOM}cpu"])
    if machinery.device.type == "cuda" and f"{_RANDOM}cuda" in tensors:
        torch.cuda.set_rng_state(tensors[f"{_RANDOM}cuda"], machinery.device)


def _place(told: Mapping[str, Any]) -> Place:
    return Place(**{**told, "sums": tuple(told["sums"]), "history": tuple(EpochRow(**row) for row in told["history"])})


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous()
