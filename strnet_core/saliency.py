"""Grad-CAM of the screening logit without a backward pass through the convolutions.

Behind the last feature map f (2048 x 16 x 16) come only a mean and small layers. The logit's gradient with respect to f is
therefore the same at every position: d logit / d pooled_k / (h w), which is exactly Grad-CAM's weight alpha_k (the mean of the
gradient over the map, arXiv 1610.02391 eq. 1). The chain rule of the small layers is written out as forward operations below, so
that any engine can return the map with the logits, in inference mode and in an exported graph.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from strnet_core.network.strnet import StrNet


def screening_saliency(network: StrNet, features: Tensor, pooled: Tensor) -> Tensor:
    """(n, h, w) float32, 0 and up, not normalised: relu(sum_k alpha_k f_k) for features (n, 2048, h, w), pooled (n, 2048).

    The network must be in evaluation mode: dropout is left out.
    """
    positions = features.shape[2] * features.shape[3]
    alpha = screening_gradient(network, pooled) / positions
    # channels last: the layout that the convolutions leave, so nothing is copied
    weighted = features.permute(0, 2, 3, 1) @ alpha[:, None, :, None]
    return torch.relu(weighted.squeeze(3))


def screening_gradient(network: StrNet, pooled: Tensor) -> Tensor:
    """(n, 2048): d screening logit / d pooled, as forward operations. `StrNet.screening_of` is what it differentiates."""
    project, norm = _linear(network.tarr.shared, "0"), _layer_norm(network.tarr.shared)
    neck = _linear(network.neck, "0")
    gate_layer, out_layer = _linear(network.tarr, "gate_screen"), _linear(network.tarr, "out_screen")
    down, up = _linear(network.tarr, "adapter_screen.0"), _linear(network.tarr, "adapter_screen.2")

    hidden = neck(pooled)
    projected = project(torch.relu(hidden))
    normed = norm(projected)
    shared = torch.relu(normed)
    gate = torch.sigmoid(gate_layer(shared))
    reduced = down(shared)
    adapted = up(torch.relu(reduced))

    to_sum = network.head.weight @ out_layer.weight
    through_gate = (to_sum * adapted * gate * (1.0 - gate)) @ gate_layer.weight
    through_adapter = (((to_sum * gate) @ up.weight) * (reduced > 0)) @ down.weight
    to_shared = to_sum + through_gate + through_adapter
    to_projected = _layer_norm_gradient(norm, projected, to_shared * (normed > 0))
    to_hidden = (to_projected @ project.weight) * (hidden > 0)
    gradient: Tensor = to_hidden @ neck.weight
    return gradient


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
