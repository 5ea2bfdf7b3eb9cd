"""The demonstration bundle: the full architecture with RANDOM weights, so that everything around the network can be shown.

Weights are drawn from a seeded generator. Left alone, a random ResNet answers every radiograph alike and turns each rounding error
into another answer, so four things are set: the gain of the residual branches, and on synthetic knees batch norm's running
statistics and the scale and offset of the two logit heads. Nothing is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from strnet_core.bundle import (
    BundleDraft,
    Golden,
    IntendedUse,
    ModelBundle,
    PreprocessingSettings,
    ReferenceStatistics,
    Tolerance,
    refuse_existing,
    score,
    write_bundle,
)
from strnet_core.engines.golden_vectors import GOLDEN_PHANTOMS, SyntheticKnee, draw_knees, golden_of, predict_knees, statistics_of
from strnet_core.engines.torch_engine import TorchEngine
from strnet_core.engines.verification import VerifiedBundle, verify_bundle
from strnet_core.network.build import PARAMETERS, build_strnet, weights_of
from strnet_core.network.strnet import StrNet
from strnet_core.phantom import PhantomParameters
from strnet_core.preprocessing import to_input

__all__ = ["DEFAULT_SEED", "VerifiedBundle", "create_demonstration_bundle", "verify_bundle"]

DEFAULT_SEED = 20260420
BFLOAT16 = Tolerance(logit=0.4, t_score=0.1, saliency=0.25)
"""Wide, because random weights were never taught to ignore noise. Measured with torch on a processor, over four ways to use bfloat16
(autocast or all of it, batch norms folded or not): logits 0.08 to 0.23, T-scores 0.01 to 0.06, maps 4 to 14 % of their maximum."""

Progress = Callable[[str], None]
_RESIDUAL_GAIN = 0.1
"""Of the last batch norm of each residual block. At 1, which is usual before training, bfloat16 moved the logits by 0.7."""
_LOGIT_SPREAD = 1.0
_T_SCORE_CENTRE = -1.5
_FURTHER_PHANTOMS = (
    PhantomParameters(side="R", density=0.05, tilt=-3.0, marker=False, rows=900, columns=750),
    PhantomParameters(side="L", density=0.25, tilt=2.0, marker=False, rows=900, columns=750),
    PhantomParameters(side="R", density=0.45, marker=False, rows=900, columns=750),
    PhantomParameters(side="L", density=0.65, tilt=-2.0, marker=False, rows=900, columns=750),
    PhantomParameters(side="R", density=0.85, tilt=3.0, marker=False, rows=900, columns=750),
    PhantomParameters(side="L", density=1.0, marker=False, rows=900, columns=750),
)

_CARD = """# STR-Net architecture, RANDOM WEIGHTS: demonstration only

**NOT FOR CLINICAL USE. NOT FOR RESEARCH INTO BONE. The weights are random numbers (seed {seed}); the scores mean nothing.**

- Weights: Kaiming normal from a seeded generator; the residual branches are damped to {gain}. Batch norm's running statistics were
  set on {knees} synthetic knees, and so were the scale and offset of the screening and severity heads, to logits of mean 0 and
  standard deviation 1. Without this a random network gives all images the same score. Nothing was trained, on anything.
- The screening threshold lies in the middle of the widest gap near the median of those logits, so that some synthetic knees are
  flagged and some are not.
- The T-score is random like the rest.
- Performance: none. There is no evidence, and there can be none."""


def create_demonstration_bundle(folder: Path, seed: int = DEFAULT_SEED, progress: Progress | None = None) -> ModelBundle:
    """Make and write the demonstration bundle (some 20 forward passes). `progress` is told what is being done.

    Raises BundleExistsError where the folder already holds a bundle.
    """
    refuse_existing(folder)
    say = progress or _silent
    settings = PreprocessingSettings()
    say("drawing synthetic knees")
    golden = draw_knees(GOLDEN_PHANTOMS, seed + 100, settings)
    knees = (*draw_knees(_FURTHER_PHANTOMS, seed, settings), *golden)
    say("drawing random weights")
    network = build_strnet()
    _randomise(network, torch.Generator().manual_seed(seed))
    say("setting batch norm and heads on synthetic knees")
    _calibrate_heads(network, _calibrate_batch_norm(network, _inputs(knees, settings)))
    say("computing golden vectors")
    predictions = predict_knees(TorchEngine(network, settings, torch.device("cpu")), knees)
    say("writing")
    return write_bundle(
        folder,
        _draft(
            network,
            seed,
            settings,
            threshold=_threshold_between([each.screening_logit for each in predictions]),
            golden=golden_of(golden, predictions[-len(golden) :], BFLOAT16),
            statistics=statistics_of("synthetic knees (phantoms), not radiographs of people", knees, predictions),
        ),
    )


def _draft(
    network: StrNet, seed: int, settings: PreprocessingSettings, *, threshold: float, golden: Golden, statistics: ReferenceStatistics
) -> BundleDraft:
    return BundleDraft(
        version=f"demonstration RANDOM WEIGHTS {seed}",
        parameters=PARAMETERS,
        weights=weights_of(network),
        intended_use=IntendedUse.DEMONSTRATION,
        card=_CARD.format(seed=seed, gain=_RESIDUAL_GAIN, knees=statistics.n),
        screening_threshold=threshold,
        severity_threshold=0.5,
        threshold_origin="screening: chosen on synthetic knees so that some are flagged; severity: as in the released code",
        preprocessing=settings,
        reference_statistics=statistics,
        manufacturer="strnet-gateway demonstration, RANDOM WEIGHTS",
        provenance=f"random numbers, seed {seed}; no weights of the authors, who have published none",
        licence="Apache-2.0, as the software that made them",
        golden=golden,
    )


def _silent(_message: str) -> None:
    return


def _inputs(knees: Sequence[SyntheticKnee], settings: PreprocessingSettings) -> Tensor:
    return torch.from_numpy(to_input(np.stack([knee.image.image for knee in knees]), settings))


def _randomise(network: StrNet, generator: torch.Generator) -> None:
    """Kaiming normal for every matrix and kernel, in the order of the modules; norms as identity, biases 0, residual branches damped."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
    for name, parameter in network.backbone.named_parameters():
        if name.endswith("bn3.weight"):
            nn.init.constant_(parameter, _RESIDUAL_GAIN)


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


def _threshold_between(logits: list[float]) -> float:
    """The middle of the widest gap among the middle half of the logits, as a probability rounded to 4 places."""
    ordered: npt.NDArray[np.float64] = np.sort(np.asarray(logits, np.float64))
    quarter = len(logits) // 4
    inner = ordered[quarter : len(logits) - quarter]
    low, high = max(pairwise(inner.tolist()), key=lambda pair: pair[1] - pair[0])
    return round(score((low + high) / 2.0) / 100.0, 4)
