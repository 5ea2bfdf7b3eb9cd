"""ResNet-50 with a one-channel stem and without its classifier: 23,501,760 parameters."""

from __future__ import annotations

from torch import nn

from strnet_core.network.torchvision_import import torchvision_models

FEATURES = 2048


def build_backbone() -> nn.Sequential:
    """(n, 1, h, w) float32 to (n, 2048, h/32, w/32). Children 0..7 = conv1, bn1, relu, maxpool, layer1..4, as the authors'."""
    resnet = torchvision_models().resnet50(weights=None)
    stem = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    return nn.Sequential(
        stem, resnet.bn1, resnet.relu, resnet.maxpool, resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4
    )  # fmt: skip
