"""The shared projection after global average pooling: 262,272 parameters."""

from __future__ import annotations

from torch import nn

from strnet_core.network.backbone import FEATURES

WIDTH = 128
DROPOUT = 0.3


def build_neck(features: int = FEATURES) -> nn.Sequential:
    """(n, features) to (n, 128), never negative."""
    return nn.Sequential(nn.Linear(features, WIDTH), nn.ReLU(inplace=False), nn.Dropout(DROPOUT))
