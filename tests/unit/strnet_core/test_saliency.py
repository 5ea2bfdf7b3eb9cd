from __future__ import annotations

import numpy as np
import pytest
import torch

from strnet_core.network.strnet import StrNet
from strnet_core.saliency import screening_gradient, screening_saliency


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(2, 1, 128, 128, generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="module")
def ours(network: StrNet, images: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        output = network(images)
        return screening_saliency(network, output.features, output.pooled)


def relative(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max())


def test_the_gradient_is_autograd_s(network: StrNet):
    pooled = torch.rand(4, 2048, generator=torch.Generator().manual_seed(6)).requires_grad_()
    (expected,) = torch.autograd.grad(network.screening_of(pooled).sum(), pooled)
    assert relative(screening_gradient(network, pooled).detach(), expected) < 1e-5


def test_the_gradient_is_autograd_s_to_1e_9_in_float64(network: StrNet):
    import copy

    doubled = copy.deepcopy(network).double()
    pooled = torch.rand(4, 2048, dtype=torch.float64).requires_grad_()
    (expected,) = torch.autograd.grad(doubled.screening_of(pooled).sum(), pooled)
    assert relative(screening_gradient(doubled, pooled).detach(), expected) < 1e-9


def test_it_equals_grad_cam_through_the_convolutions(network: StrNet, images: torch.Tensor, ours: torch.Tensor):
    features = network.backbone(images).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(network.screening_of(features.mean(dim=(2, 3))).sum(), features)
    full = torch.relu((gradient.mean(dim=(2, 3), keepdim=True) * features).sum(dim=1)).detach()
    assert relative(ours, full) < 5e-6  # float32; 1e-6 is asked for in float64 below
    assert ours.shape == (2, 4, 4)
    assert float(ours.min()) >= 0.0


def test_it_equals_full_grad_cam_in_float64_to_1e_6(network: StrNet, images: torch.Tensor):
    import copy

    doubled = copy.deepcopy(network).double()
    for parameter in doubled.parameters():
        parameter.requires_grad_(requires_grad=True)
    kept: list[torch.Tensor] = []
    handle = doubled.backbone[7].register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    output = doubled(images.double())
    handle.remove()
    (gradient,) = torch.autograd.grad(output.screening.sum(), kept[0])
    full = torch.relu((gradient.mean(dim=(2, 3), keepdim=True) * kept[0]).sum(dim=1)).detach()
    with torch.no_grad():
        mine = screening_saliency(doubled, output.features, output.pooled)
    assert relative(mine, full) < 1e-6


def test_it_equals_the_grad_cam_library(network: StrNet, images: torch.Tensor, ours: torch.Tensor):
    import copy

    import cv2
    from pytorch_grad_cam import GradCAM

    trainable = copy.deepcopy(network).requires_grad_(requires_grad=True)

    class Screening(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = trainable

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.network(inputs).screening.unsqueeze(1)

    wrapped = Screening()
    with GradCAM(model=wrapped, target_layers=[trainable.backbone[7]]) as cam:
        theirs = cam(input_tensor=images, targets=None)
    for mine, other in zip(ours.numpy(), theirs, strict=True):
        # the library stretches each map to 0..1 and enlarges it: do the same with ours
        stretched = mine - mine.min()
        stretched = stretched / (1e-7 + stretched.max())
        enlarged = cv2.resize(stretched, (128, 128))
        enlarged /= 1e-7 + enlarged.max()  # the library stretches once more after enlarging
        assert np.abs(enlarged - other).max() < 1e-4


def test_channels_last_features_give_the_same_map(network: StrNet, images: torch.Tensor, ours: torch.Tensor):
    with torch.inference_mode():
        output = network(images)
        other = screening_saliency(network, output.features.contiguous(memory_format=torch.channels_last), output.pooled)
    assert relative(other, ours) < 1e-5
