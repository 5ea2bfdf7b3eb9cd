"""The three losses with their masks, weights and warm-ups (paper 2.4, equation 1), and the released code's fourth as an option."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

from strnet_core.training.batches import Targets
from strnet_core.training.knee_set import Knee
from strnet_core.training.settings import LossSettings, PositiveWeight
from strnet_core.training.variants import Outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class PositiveWeights:
    """How much a positive knee counts against a negative one, from the training part."""

    screening: float
    severity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many knees of a whole batch each loss is the mean over, so that a batch may be taken in pieces."""

    all: int
    bone_loss: int
    t_score: int
    normal: int

    @classmethod
    def of(cls, targets: Targets) -> Counts:
        total, bone_loss = len(targets.bone_loss), int(targets.bone_loss.sum())
        return cls(all=total, bone_loss=bone_loss, t_score=int(targets.has_t_score.sum()), normal=total - bone_loss)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Losses:
    """Scalars, float32; without their lambdas. What a mask leaves empty, a head is missing for or a warm-up holds back is 0."""

    screening: Tensor
    severity: Tensor
    t_score: Tensor
    false_positive: Tensor

    def total(self, settings: LossSettings) -> Tensor:
        """Equation 1, and the fourth loss with its weight."""
        return (
            self.screening
            + settings.severity_weight * self.severity
            + settings.t_score_weight * self.t_score
            + settings.false_positive_weight * self.false_positive
        )


LOSS_NAMES = tuple(item.name for item in fields(Losses))


def positive_weights(knees: Sequence[Knee], settings: LossSettings) -> PositiveWeights:
    """Of the training part's counts; 1 where a class is missing."""
    labels = [knee.film.label for knee in knees]
    normal, osteopenia, osteoporosis = (labels.count(label) for label in range(3))
    return PositiveWeights(
        screening=_positive_weight(settings.screening_positive_weight, normal, osteopenia + osteoporosis),
        severity=_positive_weight(settings.severity_positive_weight, osteopenia, osteoporosis),
    )


def _positive_weight(kind: PositiveWeight, negatives: int, positives: int) -> float:
    if kind == "none" or not negatives or not positives:
        return 1.0
    return negatives / positives if kind == "balanced" else max(1.0, negatives / positives)


def losses(outputs: Outputs, targets: Targets, counts: Counts, weights: PositiveWeights, settings: LossSettings, epoch: int) -> Losses:
    """Of a batch or a piece of it; `counts` are the whole batch's, `epoch` begins with 0."""
    zero = outputs.screening.new_zeros(())
    return Losses(
        screening=_bce(outputs.screening, targets.bone_loss, weights.screening).sum() / max(1, counts.all),
        severity=zero if outputs.severity is None else _severity(outputs.severity, targets, weights.severity, counts),
        t_score=zero if outputs.t_score is None or epoch < settings.t_score_warmup_epochs else _t_score(outputs.t_score, targets, counts),
        false_positive=zero if not _suppresses(settings, epoch) else _false_positive(outputs.screening, targets, counts, settings),
    )


def _bce(logits: Tensor, truth: Tensor, positive_weight: float) -> Tensor:
    weight = logits.new_tensor(positive_weight)
    return functional.binary_cross_entropy_with_logits(logits, truth, pos_weight=weight, reduction="none")


def _severity(logits: Tensor, targets: Targets, positive_weight: float, counts: Counts) -> Tensor:
    """Over bone loss only: severity says nothing of a normal knee."""
    return (_bce(logits, targets.osteoporosis, positive_weight) * targets.bone_loss).sum() / max(1, counts.bone_loss)


def _t_score(scores: Tensor, targets: Targets, counts: Counts) -> Tensor:
    """Smooth L1 over knees whose T-score and covariates are known."""
    each = functional.smooth_l1_loss(scores, targets.t_score, reduction="none")
    return (each * targets.has_t_score).sum() / max(1, counts.t_score)


def _suppresses(settings: LossSettings, epoch: int) -> bool:
    return settings.false_positive_weight > 0.0 and epoch >= settings.false_positive_warmup_epochs


def _false_positive(logits: Tensor, targets: Targets, counts: Counts, settings: LossSettings) -> Tensor:
    """Squared excess of normal knees' scores over the margin."""
    excess = functional.relu(torch.sigmoid(logits) - settings.false_positive_margin)
    return (excess**2 * (1.0 - targets.bone_loss)).sum() / max(1, counts.normal)
