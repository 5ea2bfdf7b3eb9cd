"""The demonstration bundle: the full architecture with RANDOM weights, so that everything around the network can be shown.

Weights are drawn from a seeded generator. Left alone, a random ResNet answers every radiograph alike, so three things are set on
synthetic knees: batch norm's running statistics, and the scale and offset of the two logit heads. Nothing is trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from strnet_core.bundle import (
    BundleDraft,
    GoldenVector,
    IntendedUse,
    ModelBundle,
    PreprocessingSettings,
    refuse_existing,
    score,
    write_bundle,
)
from strnet_core.engines.phantom_images import phantom_image
from strnet_core.engines.verification import VerifiedBundle, verify_bundle
from strnet_core.network.build import PARAMETERS, build_strnet, weights_of
from strnet_core.network.strnet import StrNet
from strnet_core.phantom import PhantomParameters
from strnet_core.preprocessing import Preprocessed, to_input

__all__ = ["DEFAULT_SEED", "VerifiedBundle", "create_demonstration_bundle", "verify_bundle"]

DEFAULT_SEED = 20260420
TOLERANCE = 2e-3
"""Of a golden logit, whose spread over phantoms is 1: float32 on another processor stays within, another network does not."""

Progress = Callable[[str], None]
_LOGIT_SPREAD = 1.0
_T_SCORE_CENTRE = -1.5
_CALIBRATION = (
    PhantomParameters(side="R", density=0.05, tilt=-3.0, marker=False, rows=900, columns=750),
    PhantomParameters(side="L", density=0.25, tilt=2.0, marker=False, rows=900, columns=750),
    PhantomParameters(side="R", density=0.45, marker=False, rows=900, columns=750),
    PhantomParameters(side="L", density=0.65, tilt=-2.0, marker=False, rows=900, columns=750),
    PhantomParameters(side="R", density=0.85, tilt=3.0, marker=False, rows=900, columns=750),
    PhantomParameters(side="L", density=1.0, marker=False, rows=900, columns=750),
)
_GOLDEN = (
    PhantomParameters(side="L", density=0.1, tilt=1.0, marker=False, rows=900, columns=750),
    PhantomParameters(side="R", density=0.4, tilt=-2.0, marker=False, rows=900, columns=750),
    PhantomParameters(side="L", density=0.7, tilt=4.0, marker=False, rows=900, columns=750),
    PhantomParameters(side="R", density=0.95, marker=False, rows=900, columns=750),
)

_CARD = """# STR-Net architecture, RANDOM WEIGHTS: demonstration only

**NOT FOR CLINICAL USE. NOT FOR RESEARCH INTO BONE. The weights are random numbers (seed {seed}); the scores mean nothing.**

- Architecture: the released STR-Net, {parameters:,} parameters. No weights of the authors are in here: none are published.
- Weights: Kaiming normal from a seeded generator. Batch norm's running statistics were set on {calibration} synthetic knees, and
  the scale and offset of the screening and severity heads so that their logits have mean 0 and standard deviation 1 over
  synthetic knees. Without this a random network gives all images the same score. Nothing was trained, on anything.
- Threshold: {threshold:.4f} (score {score:.2f}), in the middle of the widest gap near the median of those logits, so that some
  synthetic knees are flagged and some are not. It is bound to these weights.
- Severity threshold: 0.5, as in the released code.
- T-score: random like the rest, and needs age, sex and BMI.
- Performance: none. There is no evidence, and there can be none.
- Golden vectors: {golden} synthetic knees (drawn without marker) with the SHA-256 of their 8-bit image and their logits.
"""


def create_demonstration_bundle(folder: Path, seed: int = DEFAULT_SEED, progress: Progress | None = None) -> ModelBundle:
    """Make and write the demonstration bundle (about 10 s on 2 free cores). `progress` is told what is being done.

    Raises BundleExistsError where the folder already holds a bundle.
    """
    refuse_existing(folder)
    say = progress or _silent
    settings = PreprocessingSettings()
    say("drawing synthetic knees")
    calibration = _inputs([phantom_image(each, seed + n, settings) for n, each in enumerate(_CALIBRATION)], settings)
    golden = [phantom_image(each, seed + 100 + n, settings) for n, each in enumerate(_GOLDEN)]
    say("drawing random weights")
    network = build_strnet()
    _randomise(network, torch.Generator().manual_seed(seed))
    say("setting batch norm statistics on synthetic knees")
    seen = _calibrate_batch_norm(network, calibration)
    say("setting the heads on synthetic knees")
    pooled = torch.cat((seen, _pooled(network, _inputs(golden, settings))))
    _calibrate_heads(network, pooled)
    screening, severity = _logits(network, pooled)
    threshold = _threshold_between(screening)
    say("writing")
    first = len(_CALIBRATION)
    vectors = tuple(
        GoldenVector(
            phantom=asdict(_GOLDEN[n]),
            seed=seed + 100 + n,
            image_sha256=image.sha256,
            screening_logit=screening[first + n],
            severity_logit=severity[first + n],
            tolerance=TOLERANCE,
        )
        for n, image in enumerate(golden)
    )
    return write_bundle(folder, _draft(network, seed, threshold, settings, vectors))


def _draft(network: StrNet, seed: int, threshold: float, settings: PreprocessingSettings, vectors: tuple[GoldenVector, ...]) -> BundleDraft:
    card = _CARD.format(
        seed=seed,
        parameters=PARAMETERS,
        calibration=len(_CALIBRATION),
        threshold=threshold,
        score=score(math.log(threshold / (1.0 - threshold))),
        golden=len(vectors),
    )
    return BundleDraft(
        version=f"demonstration RANDOM WEIGHTS {seed}",
        parameters=PARAMETERS,
        weights=weights_of(network),
        intended_use=IntendedUse.DEMONSTRATION,
        card=card,
        screening_threshold=threshold,
        severity_threshold=0.5,
        preprocessing=settings,
        manufacturer="strnet-gateway demonstration, RANDOM WEIGHTS",
        golden=vectors,
    )


def _silent(_message: str) -> None:
    return


def _inputs(images: list[Preprocessed], settings: PreprocessingSettings) -> Tensor:
    return torch.from_numpy(to_input(np.stack([image.image for image in images]), settings))


def _randomise(network: StrNet, generator: torch.Generator) -> None:
    """Kaiming normal for every matrix and kernel, in the order of the modules; norms start as identity, biases at 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


def _calibrate_batch_norm(network: StrNet, inputs: Tensor) -> Tensor:
    """Running statistics become those of the inputs, whose pooled features (n, 2048) are returned."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    norms = [module for module in network.backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # plain average of what is seen
    network.train()
    with torch.no_grad():
        pooled: Tensor = network.backbone(inputs.contiguous(memory_format=torch.channels_last)).mean(dim=(2, 3))
    network.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return pooled


@torch.no_grad()
def _pooled(network: StrNet, inputs: Tensor) -> Tensor:
    """(n, 2048); one image at a time, as an engine sees them and within little memory."""
    ordered = inputs.contiguous(memory_format=torch.channels_last)
    return torch.cat([network.backbone(ordered[n : n + 1]).mean(dim=(2, 3)) for n in range(ordered.shape[0])])


@torch.no_grad()
def _calibrate_heads(network: StrNet, pooled: Tensor) -> None:
    """Mean 0 and standard deviation 1 of both logits over the given knees; T-scores around -1.5."""
    routed = network.tarr(network.neck(pooled))
    for head, task in ((network.head, "screen"), (network.severe_head, "severe")):
        logits = head(routed[task])
        scale = _LOGIT_SPREAD / logits.std().clamp_min(1e-6)
        head.weight.mul_(scale)
        head.bias.copy_(-logits.mean() * scale)
    covariates = torch.tensor([[0.65, 0.0, 0.5]]).expand(pooled.shape[0], 3)
    scores = network.t_score(routed["tscore"], covariates)
    network.tscore_head.bias.copy_(_T_SCORE_CENTRE - scores.mean())


@torch.no_grad()
def _logits(network: StrNet, pooled: Tensor) -> tuple[list[float], list[float]]:
    routed = network.tarr(network.neck(pooled))
    return network.head(routed["screen"]).squeeze(1).tolist(), network.severe_head(routed["severe"]).squeeze(1).tolist()


def _threshold_between(logits: list[float]) -> float:
    """The middle of the widest gap among the middle half of the logits, as a probability rounded to 4 places."""
    ordered: npt.NDArray[np.float64] = np.sort(np.asarray(logits, np.float64))
    quarter = len(logits) // 4
    inner = ordered[quarter : len(logits) - quarter]
    low, high = max(pairwise(inner.tolist()), key=lambda pair: pair[1] - pair[0])
    return round(score((low + high) / 2.0) / 100.0, 4)
