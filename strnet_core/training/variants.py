"""The networks that are trained: STR-Net itself, and what the ablation and the backbone comparison change about it."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from strnet_core.errors import TrainingSettingsError
from strnet_core.network import heads
from strnet_core.network.neck import build_neck
from strnet_core.network.strnet import StrNet
from strnet_core.network.task_routing import TaskRouting
from strnet_core.training.backbones import FIXED_SIZES, PAPER_BACKBONE, build
from strnet_core.training.settings import Stage, TrainingSettings

STAGES: tuple[Stage, ...] = ("B0", "B1", "B2", "B3", "B4")


class Outputs(NamedTuple):
    """(n,) float32 each; None where the network has no such head."""

    screening: Tensor
    severity: Tensor | None
    t_score: Tensor | None


class Trainee(nn.Module):
    """What every training trains. Images (n, 1, h, w) float32 and covariates (n, 3) float32 to outputs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, covariates: Tensor) -> Outputs:
        """Float32 whatever the arithmetic of the convolutions: losses must not be rounded."""
        given = self.network(images, covariates)
        return Outputs(*(None if value is None else value.float() for value in (given.screening, given.severity, given.t_score)))  # type: ignore[arg-type]


class Variant(nn.Module):
    """STR-Net on another backbone, or without some of its parts. Names of parts are STR-Net's."""

    def __init__(self, backbone: str, stage: Stage, size_px: int) -> None:
        super().__init__()
        built, reached = build(backbone, size_px), STAGES.index(stage)
        self.backbone = built.module
        self.neck = build_neck(built.features) if reached >= STAGES.index("B1") else nn.Identity()
        self.head = heads.build_logit_head() if reached >= STAGES.index("B1") else nn.Linear(built.features, 1)
        self.severe_head = heads.build_logit_head() if reached >= STAGES.index("B2") else None
        self.has_t_score = reached >= STAGES.index("B3")
        if self.has_t_score:
            self.img_adapter = heads.build_image_adapter()
            self.tabular_encoder = heads.build_tabular_encoder()
            self.fusion_mlp = heads.build_fusion()
            self.tscore_head = heads.build_t_score_head()
        self.tarr = TaskRouting() if reached >= STAGES.index("B4") else None

    def forward(self, images: Tensor, covariates: Tensor) -> Outputs:
        """Images (n, 1, h, w) float32, covariates (n, 3) float32."""
        embedding = self.neck(self.backbone(images))
        routed = dict.fromkeys(("screen", "severe", "tscore"), embedding) if self.tarr is None else self.tarr(embedding)
        return Outputs(
            screening=self.head(routed["screen"]).squeeze(1),
            severity=None if self.severe_head is None else self.severe_head(routed["severe"]).squeeze(1),
            t_score=self._t_score(routed["tscore"], covariates) if self.has_t_score else None,
        )

    def _t_score(self, routed: Tensor, covariates: Tensor) -> Tensor:
        """Behind the same stop-gradient as STR-Net's."""
        fused = self.fusion_mlp(heads.joined(self.img_adapter(routed.detach()), self.tabular_encoder(covariates)))
        scores: Tensor = self.tscore_head(fused).squeeze(1)
        return scores


def build_trainee(settings: TrainingSettings) -> Trainee:
    """With random weights from torch's global generator, in training mode on the processor. Raises TrainingSettingsError."""
    if is_strnet(settings):
        return Trainee(StrNet()).train()
    return Trainee(Variant(settings.backbone, settings.stage, settings.preprocessing.size_px)).train()


def is_strnet(settings: TrainingSettings) -> bool:
    """Whether what is trained is the architecture that a bundle can hold."""
    return settings.backbone == PAPER_BACKBONE and settings.stage == "B4"


def size_for(backbone: str, wanted: int | None, default: int = 512) -> int:
    """Side in pixels for a backbone: what is wanted, else its own or the default. Raises TrainingSettingsError where it takes no such."""
    fixed = FIXED_SIZES.get(backbone)
    if fixed is not None and wanted not in (None, fixed):
        raise TrainingSettingsError(f"{backbone} takes {fixed} x {fixed} only")
    return fixed or wanted or default
