"""The torch module that runs on a device: 8-bit images in, everything that the host needs out as one packed array."""

from __future__ import annotations

import copy
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from strnet_core.bundle import PreprocessingSettings
from strnet_core.engines.batching import Readings
from strnet_core.engines.profiles import Arithmetic
from strnet_core.network.strnet import StrNet
from strnet_core.preprocessing import to_input
from strnet_core.saliency import NetworkWithSaliency

NUMBERS = 3
"""Packed before the map: screening, severity, T-score."""


class OnDevice(nn.Module):
    """Images (n, s, s) uint8 and covariates (n, 3) float32 to (n, 3 + h w) float32: one copy to the host per pass.

    The float step is a table of the 256 levels that `to_input` computes on the host: exact on any device, and a quarter of the
    bytes to send. The network that is given is used as it is; build it with `prepared`.
    """

    def __init__(self, network: StrNet, settings: PreprocessingSettings) -> None:
        super().__init__()
        levels = to_input(np.arange(256, dtype=np.uint8).reshape(1, 1, 256), settings).ravel()
        self.register_buffer("levels", torch.from_numpy(levels.copy()), persistent=False)
        self.inner = NetworkWithSaliency(network)
        self.eval()

    def forward(self, images: Tensor, covariates: Tensor) -> Tensor:
        inputs = self.get_buffer("levels")[images.int()][:, None]
        reading = self.inner(inputs.contiguous(memory_format=torch.channels_last), covariates)
        numbers = torch.stack((reading.screening, reading.severity, reading.t_score), dim=1)
        return torch.cat((numbers, reading.saliency.flatten(1)), dim=1)


class Bfloat16Backbone(nn.Module):
    """A backbone in bfloat16 between float32 ends: the mean, the heads and the saliency stay float32."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.inner = backbone.to(torch.bfloat16)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.inner(images.to(torch.bfloat16)).float()
        return features


def prepared(network: StrNet, arithmetic: Arithmetic) -> StrNet:
    """The network for an arithmetic. float32 is the network itself; bfloat16 a copy with the batch norms folded in.

    Folded in float32 and then rounded: running statistics that are rounded themselves move every activation.
    """
    if arithmetic == "float32":
        return network
    folded = copy.deepcopy(network)
    fold_batch_norms(folded.backbone)
    folded.backbone = Bfloat16Backbone(folded.backbone)  # type: ignore[assignment]  # the same call, other arithmetic inside
    return folded.eval()  # what has just been made starts in training mode


def fold_batch_norms(module: nn.Module) -> None:
    """Each batch norm behind a convolution becomes part of it, in place. The module must be in evaluation mode."""
    for (name, child), (next_name, following) in pairwise(list(module.named_children())):
        if isinstance(child, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(child, following))
            setattr(module, next_name, nn.Identity())
    for child in module.children():
        fold_batch_norms(child)


def unpacked(packed: npt.NDArray[np.float32]) -> Readings:
    """What `OnDevice` packed, (n, 3 + h h) float32. Raises ImplausibleOutputError."""
    side = round((packed.shape[1] - NUMBERS) ** 0.5)
    numbers = packed[:, :NUMBERS].astype(np.float64)
    return Readings(
        screening=numbers[:, 0],
        severity=numbers[:, 1],
        t_score=numbers[:, 2],
        saliency=packed[:, NUMBERS:].reshape(-1, side, side),
    )
