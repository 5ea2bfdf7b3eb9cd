"""Task-aware representation routing (TARR) as released: 165,568 parameters.

The paper's text (2.3) has Linear-BatchNorm-ReLU-Dropout per branch, which would count 23,830,691 in all; the released code, which
counts the paper's 23.95 M, has one shared Linear with LayerNorm and per task a gated bottleneck adapter with a residual.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from strnet_core.network.neck import WIDTH

BOTTLENECK = 64
TASKS = ("screen", "severe", "tscore")


class TaskRouting(nn.Module):
    """(n, 128) to one (n, 128) per task. The authors' `out_tscore` is known; the other inner names follow its pattern."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH), nn.ReLU(inplace=False))
        for task in TASKS:
            self.add_module(f"gate_{task}", nn.Linear(WIDTH, WIDTH))
            self.add_module(f"adapter_{task}", _adapter())
            self.add_module(f"out_{task}", nn.Linear(WIDTH, WIDTH))

    def forward(self, embedding: Tensor) -> dict[str, Tensor]:
        shared = self.shared(embedding)
        return {task: self.route(shared, task) for task in TASKS}

    def route(self, shared: Tensor, task: str) -> Tensor:
        """One task's (n, 128) of the shared representation (n, 128)."""
        gate = torch.sigmoid(self.get_submodule(f"gate_{task}")(shared))
        adapted = self.get_submodule(f"adapter_{task}")(shared)
        routed: Tensor = self.get_submodule(f"out_{task}")(shared + gate * adapted)
        return routed


def _adapter() -> nn.Sequential:
    return nn.Sequential(nn.Linear(WIDTH, BOTTLENECK), nn.ReLU(inplace=False), nn.Linear(BOTTLENECK, WIDTH))
