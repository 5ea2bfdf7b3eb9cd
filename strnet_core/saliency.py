"""Grad-CAM of the screening logit without a backward pass through the convolutions.

Behind the last feature map f (2048 x 16 x 16) come only a mean and small layers. The logit's gradient with respect to f is
therefore the same at every position: d logit / d pooled_k / (h w), which is exactly Grad-CAM's weight alpha_k (the mean of the
gradient over the map, arXiv 1610.02391 eq. 1). The chain rule of the small layers is written out as forward operations below, so
that any engine can return the map with the logits, in inference mode and in an exported graph.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from strnet_core.network.strnet import StrNet


class Transposed(NamedTuple):
    """The weights that the gradient runs back through, each turned: a step back is then a Linear like any step forward."""

    neck: Tensor
    """(2048, 128)."""
    project: Tensor
    """(128, 128), as `gate`."""
    gate: Tensor
    down: Tensor
    """(128, 64)."""
    up: Tensor
    """(64, 128)."""
    to_sum: Tensor
    """(1, 128): d logit / d the sum that `out_screen` sees; a constant, for head and `out_screen` are linear."""


class Reading(NamedTuple):
    """What one pass gives, ready for every engine."""

    screening: Tensor
    """(n,) logits."""
    severity: Tensor
    """(n,) logits."""
    t_score: Tensor
    """(n,); without meaning where the covariates were made up."""
    saliency: Tensor
    """(n, h, w), 0 and up, not normalised."""


class NetworkWithSaliency(nn.Module):
    """Images (n, 1, s, s) float32 and covariates (n, 3) float32 in, a `Reading` out: the graph that engines run and export.

    The turned weights are copies, not views. OpenVINO 2026.4.1 gives a square weight that is used both ways the same direction
    twice, without a word: logits stay right and the map comes out wrong by more than its maximum.
    """

    def __init__(self, network: StrNet) -> None:
        super().__init__()
        self.network = network
        for name, weight in transposed(network)._asdict().items():
            self.register_buffer(f"turned_{name}", weight.detach().clone(memory_format=torch.contiguous_format), persistent=False)
        # here, not by the caller: dropout that is left on changes logits by tenths
        self.eval()

    def forward(self, images: Tensor, covariates: Tensor) -> Reading:
        output = self.network(images, covariates)
        turned = Transposed(*(self.get_buffer(f"turned_{name}") for name in Transposed._fields))
        saliency = screening_saliency(self.network, output.features, output.pooled, turned)
        return Reading(output.screening, output.severity, output.t_score, saliency)


def screening_saliency(network: StrNet, features: Tensor, pooled: Tensor, turned: Transposed | None = None) -> Tensor:
    """(n, h, w) float32, 0 and up, not normalised: relu(sum_k alpha_k f_k) for features (n, 2048, h, w), pooled (n, 2048).

    The network must be in evaluation mode: dropout is left out. `turned` spares turning the weights again.
    """
    positions = features.shape[2] * features.shape[3]
    alpha = screening_gradient(network, pooled, turned) / positions
    # channels last: the layout that the convolutions leave, so nothing is copied
    weighted = features.permute(0, 2, 3, 1) @ alpha[:, None, :, None]
    return torch.relu(weighted.squeeze(3))


def screening_gradient(network: StrNet, pooled: Tensor, turned: Transposed | None = None) -> Tensor:
    """(n, 2048): d screening logit / d pooled, as forward operations. `StrNet.screening_of` is what it differentiates."""
    back = transposed(network) if turned is None else turned
    project, norm = _linear(network.tarr.shared, "0"), _layer_norm(network.tarr.shared)
    neck, gate_layer = _linear(network.neck, "0"), _linear(network.tarr, "gate_screen")
    down, up = _linear(network.tarr, "adapter_screen.0"), _linear(network.tarr, "adapter_screen.2")

    hidden = neck(pooled)
    projected = project(torch.relu(hidden))
    normed = norm(projected)
    shared = torch.relu(normed)
    gate = torch.sigmoid(gate_layer(shared))
    reduced = down(shared)
    adapted = up(torch.relu(reduced))

    through_gate = functional.linear(back.to_sum * adapted * gate * (1.0 - gate), back.gate)
    through_adapter = functional.linear(functional.linear(back.to_sum * gate, back.up) * (reduced > 0), back.down)
    to_shared = back.to_sum + through_gate + through_adapter
    to_projected = _layer_norm_gradient(norm, projected, to_shared * (normed > 0))
    to_hidden = functional.linear(to_projected, back.project) * (hidden > 0)
    return functional.linear(to_hidden, back.neck)


def transposed(network: StrNet) -> Transposed:
    """The network's weights, turned: views where nothing has to be computed."""
    return Transposed(
        neck=_linear(network.neck, "0").weight.t(),
        project=_linear(network.tarr.shared, "0").weight.t(),
        gate=_linear(network.tarr, "gate_screen").weight.t(),
        down=_linear(network.tarr, "adapter_screen.0").weight.t(),
        up=_linear(network.tarr, "adapter_screen.2").weight.t(),
        to_sum=network.head.weight @ _linear(network.tarr, "out_screen").weight,
    )


def _layer_norm_gradient(norm: nn.LayerNorm, inputs: Tensor, outer: Tensor) -> Tensor:
    """Gradient of layer norm's input (n, 128) where `outer` (n, 128) is that of its output."""
    centred = inputs - inputs.mean(dim=1, keepdim=True)
    deviation = torch.sqrt(centred.square().mean(dim=1, keepdim=True) + norm.eps)
    standard = centred / deviation
    scaled = outer * norm.weight
    return (scaled - scaled.mean(dim=1, keepdim=True) - standard * (scaled * standard).mean(dim=1, keepdim=True)) / deviation


def _linear(module: nn.Module, name: str) -> nn.Linear:
    layer = module.get_submodule(name)
    if not isinstance(layer, nn.Linear):
        raise TypeError(f"{name} is no Linear")
    return layer


def _layer_norm(shared: nn.Module) -> nn.LayerNorm:
    layer = shared.get_submodule("1")
    if not isinstance(layer, nn.LayerNorm):
        raise TypeError("the shared projection has no LayerNorm")
    return layer
