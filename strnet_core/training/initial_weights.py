"""Weights to begin from: a file of a former run, or a backbone as torchvision publishes it. Nothing is downloaded here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from strnet_core.errors import TrainingSettingsError
from strnet_core.network.checkpoint import listed
from strnet_core.training.variants import Trainee

_CHILDREN: Mapping[str, str] = {
    "conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7",
}  # fmt: skip
"""Torchvision's names of a ResNet's parts to their places in STR-Net's backbone."""
_CLASSIFIERS = ("fc.", "classifier.", "head.", "heads.", "AuxLogits.", "aux1.", "aux2.")
_COLOURS = 3


def sha256_of(path: Path) -> str:
    """What `TrainingSettings.initial_weights` holds. Raises TrainingSettingsError where the file cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise TrainingSettingsError(f"initial weights: {type(error).__name__}") from error


def load_initial_weights(trainee: Trainee, path: Path) -> tuple[str, ...]:
    """Put a file's weights into the network; returns the names that keep their random start, sorted.

    `.safetensors` of a run of the same network, or of its backbone alone; else torchvision's state_dict (`.pth`, read with
    `weights_only`), whose three-channel stem is averaged to one (paper, Table 2) and whose classifier is left out. Every other name must
    fit with its shape. Raises TrainingSettingsError.
    """
    target = trainee.network.state_dict()
    given = {_our_name(name, target): tensor for name, tensor in _read(path).items() if name in target or not name.startswith(_CLASSIFIERS)}
    fitted = {name: _grey(tensor, target[name]) for name, tensor in given.items() if name in target}
    wrong = sorted(set(given) - set(target)) + [name for name, tensor in fitted.items() if tensor.shape != target[name].shape]
    if wrong or not fitted:
        raise TrainingSettingsError(f"initial weights do not fit: {listed(wrong) or 'nothing of it'}")
    with torch.no_grad():
        for name, tensor in fitted.items():
            target[name].copy_(tensor)
    return tuple(sorted(set(target) - set(fitted)))


def _read(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, TypeError) as error:
        raise TrainingSettingsError(f"initial weights: {type(error).__name__}") from error
    except Exception as error:
        # a pickle that `weights_only` refuses: its text says how to switch the protection off
        raise TrainingSettingsError("initial weights: no file of tensors alone") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise TrainingSettingsError("initial weights: no state_dict")
    return dict(state)


def _our_name(name: str, target: Mapping[str, Tensor]) -> str:
    if name in target:
        return name
    first, _, rest = name.partition(".")
    candidates = (
        f"backbone.{name}",
        f"backbone.{_CHILDREN.get(first, first)}.{rest}",
        f"backbone.features.{_CHILDREN.get(first, first)}.{rest}",
    )
    return next((each for each in candidates if each in target), name)


def _grey(tensor: Tensor, like: Tensor) -> Tensor:
    """The mean over three channels where one is wanted."""
    needs = tensor.ndim == like.ndim == 4 and tensor.shape[1] == _COLOURS and like.shape[1] == 1  # noqa: PLR2004
    return tensor.mean(dim=1, keepdim=True) if needs else tensor
