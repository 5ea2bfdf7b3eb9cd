"""STR-Net: backbone, pooling, neck, task routing, heads. Module names are the authors', so an importer is an exact map."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from strnet_core.network import heads
from strnet_core.network.backbone import build_backbone
from strnet_core.network.neck import build_neck
from strnet_core.network.task_routing import TaskRouting


class StrNetOutput(NamedTuple):
    """What one pass gives; the first two are what the saliency is made of."""

    features: Tensor
    """(n, 2048, h/32, w/32) float32, never negative."""
    pooled: Tensor
    """(n, 2048) float32, their mean over the image."""
    screening: Tensor
    """(n,) logits of bone loss."""
    severity: Tensor
    """(n,) logits of osteoporosis among bone loss; without meaning where screening is not reached."""
    t_score: Tensor | None
    """(n,), None without covariates: the released code has no path from the image alone."""


class StrNet(nn.Module):
    """The released architecture (paper 2.3, and the authors' code where they differ)."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = build_backbone()
        self.neck = build_neck()
        self.tarr = TaskRouting()
        self.head = heads.build_logit_head()
        self.severe_head = heads.build_logit_head()
        self.img_adapter = heads.build_image_adapter()
        self.tabular_encoder = heads.build_tabular_encoder()
        self.fusion_mlp = heads.build_fusion()
        self.tscore_head = heads.build_t_score_head()

    def forward(self, images: Tensor, covariates: Tensor | None = None) -> StrNetOutput:
        """Images (n, 1, h, w) float32 as `to_input` makes them, covariates (n, 3) float32 as `CovariateScaling.encode` does."""
        features = self.backbone(images)
        pooled = features.mean(dim=(2, 3))
        routed = self.tarr(self.neck(pooled))
        return StrNetOutput(
            features=features,
            pooled=pooled,
            screening=self.head(routed["screen"]).squeeze(1),
            severity=self.severe_head(routed["severe"]).squeeze(1),
            t_score=None if covariates is None else self.t_score(routed["tscore"], covariates),
        )

    def screening_of(self, pooled: Tensor) -> Tensor:
        """(n,) screening logits of pooled features (n, 2048): all that lies behind the convolutions."""
        logits: Tensor = self.head(self.tarr.route(self.tarr.shared(self.neck(pooled)), "screen")).squeeze(1)
        return logits

    def t_score(self, routed: Tensor, covariates: Tensor) -> Tensor:
        """(n,) T-scores. The stop-gradient sits behind the route, so 49,600 parameters before it were never trained."""
        image = self.img_adapter(routed.detach())
        fused = self.fusion_mlp(heads.joined(image, self.tabular_encoder(covariates)))
        scores: Tensor = self.tscore_head(fused).squeeze(1)
        return scores
