"""Builds the network and proves that it is the one that was published, by counting."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from strnet_core.errors import ArchitectureError
from strnet_core.network.strnet import StrNet

PARAMETERS = 23_945_571
"""Backbone 23,501,760 + neck 262,272 + task routing 165,568 + heads 258 + T-score 15,713; the paper says 23.95 M."""


def build_strnet() -> StrNet:
    """An untrained network in evaluation mode on the CPU. Raises ArchitectureError where the count is not the published one."""
    network = StrNet()
    count = count_parameters(network)
    if count != PARAMETERS:
        raise ArchitectureError(f"{count} parameters instead of {PARAMETERS}")
    return network.eval()


def count_parameters(module: nn.Module) -> int:
    """Parameters, without batch norm's running statistics."""
    return sum(parameter.numel() for parameter in module.parameters())


def build_strnet_with(weights: Mapping[str, npt.NDArray[np.generic]]) -> StrNet:
    """The network with these weights, in evaluation mode on the CPU; skips the random start values, which take seconds.

    Every name must be there with its shape, none may be left over, floats must be finite float32; matrices and kernels may be
    float16, which become the float32 of the same value. Raises ArchitectureError that names the first few names that do not fit.
    """
    with torch.device("meta"):
        network = StrNet()
    expected = network.state_dict()
    wrong = sorted(set(expected) ^ set(weights))
    wrong += [name for name in expected if name in weights and tuple(expected[name].shape) != weights[name].shape]
    if wrong:
        raise ArchitectureError(f"{len(wrong)} names do not fit: {', '.join(wrong[:5])}")
    for name, array in weights.items():
        if expected[name].is_floating_point() and not (_is_stored(array) and np.isfinite(array).all()):
            raise ArchitectureError(f"{name} is not finite float32")
    network.load_state_dict({name: torch.from_numpy(_widened(array)) for name, array in weights.items()}, assign=True)
    return network.requires_grad_(requires_grad=False).eval()


def may_be_half(array: npt.NDArray[np.generic]) -> bool:
    """Whether a bundle may store this weight in float16: matrices and kernels, which are nearly all of the bytes. Biases and norms,
    whose variances may leave its range, may not."""
    return array.ndim > 1 and array.dtype == np.float32


def _is_stored(array: npt.NDArray[np.generic]) -> bool:
    return array.dtype == np.float32 or (array.dtype == np.float16 and array.ndim > 1)


def _widened(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """A copy: arrays that lie in a file's buffer are read-only, tensors may not be."""
    return array.astype(np.float32) if array.dtype == np.float16 else np.array(array)


def weights_of(network: StrNet) -> dict[str, npt.NDArray[np.generic]]:
    """The network's state as arrays by name."""
    return {name: tensor.detach().cpu().numpy() for name, tensor in network.state_dict().items()}
