"""The heads: screening and severity (258 parameters), and the T-score with its covariates (15,713)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from strnet_core.network.neck import DROPOUT, WIDTH

IMAGE_WIDTH = 64
COVARIATES = 3
COVARIATE_WIDTH = 32


def build_logit_head() -> nn.Linear:
    """(n, 128) to (n, 1) logits: 129 parameters."""
    return nn.Linear(WIDTH, 1)


def build_image_adapter() -> nn.Sequential:
    """(n, 128) to (n, 64): 8,256 parameters."""
    return nn.Sequential(nn.Linear(WIDTH, IMAGE_WIDTH), nn.ReLU(inplace=False))


def build_tabular_encoder() -> nn.Sequential:
    """(n, 3) age, sex, BMI to (n, 32): 1,184 parameters."""
    return nn.Sequential(
        nn.Linear(COVARIATES, COVARIATE_WIDTH), nn.ReLU(inplace=False),
        nn.Linear(COVARIATE_WIDTH, COVARIATE_WIDTH), nn.ReLU(inplace=False),
    )  # fmt: skip


def build_fusion() -> nn.Sequential:
    """(n, 64 + 32) to (n, 64): 6,208 parameters."""
    return nn.Sequential(nn.Linear(IMAGE_WIDTH + COVARIATE_WIDTH, IMAGE_WIDTH), nn.ReLU(inplace=False), nn.Dropout(DROPOUT))


def build_t_score_head() -> nn.Linear:
    """(n, 64) to (n, 1) T-scores: 65 parameters."""
    return nn.Linear(IMAGE_WIDTH, 1)


def joined(image: Tensor, covariates: Tensor) -> Tensor:
    """(n, 96) of the image's (n, 64) and the covariates' (n, 32)."""
    return torch.cat((image, covariates), dim=1)
