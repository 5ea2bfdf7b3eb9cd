"""The protocol of a training as one frozen value: the defaults are the paper's (2.2 to 2.4, Table 2), departures are named."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from strnet_core.bundle import CovariateScaling, PreprocessingSettings
from strnet_core.errors import TrainingSettingsError

Stage = Literal["B0", "B1", "B2", "B3", "B4"]
PlanKind = Literal["holdout", "folds", "all"]
PositiveWeight = Literal["none", "released", "balanced"]
Arithmetic = Literal["float32", "bfloat16"]


def _check(settings: object, **good: bool) -> None:
    wrong = [name for name, is_good in good.items() if not is_good]
    if wrong:
        raise TrainingSettingsError(f"{type(settings).__name__}: out of range: {', '.join(wrong)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationSettings:
    """Paper 2.2. Raises TrainingSettingsError where a value is out of its range, as every value of this module."""

    flip_probability: float = 0.5
    max_rotation_degrees: float = 8.0
    max_translation: float = 0.04
    """Of the image's side, in each direction."""
    min_scale: float = 0.95
    max_scale: float = 1.05
    border_probability: float = 0.5
    max_border: float = 0.04
    """Of the image's side; each of the four strips has a random width from 0 to this."""

    def __post_init__(self) -> None:
        _check(
            self,
            flip_probability=0.0 <= self.flip_probability <= 1.0,
            max_rotation_degrees=0.0 <= self.max_rotation_degrees <= 180.0,  # noqa: PLR2004
            max_translation=0.0 <= self.max_translation < 1.0,
            min_scale=0.0 < self.min_scale <= self.max_scale,
            border_probability=0.0 <= self.border_probability <= 1.0,
            max_border=0.0 <= self.max_border <= 0.5,  # noqa: PLR2004
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSettings:
    """Paper 2.4 and Table 2; the positive weights and the last three are what the released code has."""

    severity_weight: float = 0.3
    t_score_weight: float = 0.1
    t_score_warmup_epochs: int = 5
    """The T-score loss counts from the epoch after these on."""
    screening_positive_weight: PositiveWeight = "released"
    """The paper says "weighted BCE" without a weight. `released` is the code's max(1, negatives / positives), 1.0 on the paper's
    data; `balanced` is negatives / positives."""
    severity_positive_weight: PositiveWeight = "released"
    """The paper weights this loss too, the code does not: `none` is the code's."""
    false_positive_weight: float = 0.0
    """Of the released code's extra loss relu(p - margin)^2 over normal knees; the code has 0.1, the paper has no such loss."""
    false_positive_margin: float = 0.30
    false_positive_warmup_epochs: int = 5

    def __post_init__(self) -> None:
        _check(
            self,
            severity_weight=self.severity_weight >= 0.0,
            t_score_weight=self.t_score_weight >= 0.0,
            t_score_warmup_epochs=self.t_score_warmup_epochs >= 0,
            false_positive_weight=self.false_positive_weight >= 0.0,
            false_positive_margin=0.0 <= self.false_positive_margin < 1.0,
            false_positive_warmup_epochs=self.false_positive_warmup_epochs >= 0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimisationSettings:
    """Paper 2.4 and Table 2."""

    learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    plateau_factor: float = 0.5
    plateau_patience: int = 20
    """Epochs without a validation AUPRC better by 0.01 % of the best (torch's own margin) that are borne: the next such one halves."""
    max_gradient_norm: float = 1.0
    batch_size: int = 32
    micro_batch_size: int = 0
    """Gradients are added up over so many knees at a time where memory is short; 0 takes the whole batch at once. Batch norm then
    sees the smaller batch, so results differ."""
    max_epochs: int = 100
    stop_patience: int = 30
    """Epochs without a better validation AUPRC, after which training ends."""

    def __post_init__(self) -> None:
        _check(
            self,
            learning_rate=self.learning_rate > 0.0,
            weight_decay=self.weight_decay >= 0.0,
            plateau_factor=0.0 < self.plateau_factor < 1.0,
            plateau_patience=self.plateau_patience >= 0,
            max_gradient_norm=self.max_gradient_norm > 0.0,
            batch_size=self.batch_size >= 2,  # noqa: PLR2004
            micro_batch_size=self.micro_batch_size == 0 or 2 <= self.micro_batch_size <= self.batch_size,  # noqa: PLR2004
            max_epochs=self.max_epochs >= 1,
            stop_patience=self.stop_patience >= 1,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSettings:
    """What is trained on what; always split by duplicate group and, where known, patient, and stratified by class."""

    kind: PlanKind = "holdout"
    """`holdout` trains once and keeps a test part, as the paper; `folds` cross-validates; `all` trains on everything, without a test."""
    parts: int = 7
    """With `holdout`: one part of so many is the test set (the paper's 224 of 1,570 are 1/7.0)."""
    folds: int = 5
    """With `folds`."""
    validation_parts: int = 6
    """Of what is no test, one part of so many validates (the paper's 226 of 1,346 are 1/6.0). 0: nothing validates; then neither
    the learning rate falls nor does training stop early, and the last epoch's weights are kept. `all` never validates."""

    def __post_init__(self) -> None:
        _check(
            self,
            parts=self.parts >= 2,  # noqa: PLR2004
            folds=self.folds >= 2,  # noqa: PLR2004
            validation_parts=self.validation_parts == 0 or self.validation_parts >= 2,  # noqa: PLR2004
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """All that decides what a training comes to, but for the data. Written into the run's folder, and never changed there."""

    backbone: str = "resnet50"
    """Any classification model of torchvision by its name."""
    stage: Stage = "B4"
    """The paper's ablation (Table 4): B0 backbone and one linear head, B1 + neck, B2 + severity, B3 + T-score, B4 + task routing."""
    initial_weights: str = ""
    """SHA-256 of the file whose weights the training begins from; empty: random. The paper begins from ImageNet's."""
    preprocessing: PreprocessingSettings = field(default_factory=PreprocessingSettings)
    covariates: CovariateScaling = field(default_factory=CovariateScaling)
    exclude_refused: bool = True
    """Leave out what the quality flags refuse, as the paper leaves out metal, prostheses and poor quality."""
    duplicate_distance: int = 4
    """Perceptual hashes (64 bits) that differ in at most so many bits make one group; the paper's audit has 4."""
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    losses: LossSettings = field(default_factory=LossSettings)
    optimisation: OptimisationSettings = field(default_factory=OptimisationSettings)
    plan: PlanSettings = field(default_factory=PlanSettings)
    seed: int = 42
    arithmetic: Arithmetic = "float32"
    """`bfloat16`: mixed precision by autocast; weights, losses and the optimizer stay float32."""
    channels_last: bool = True

    def __post_init__(self) -> None:
        _check(self, duplicate_distance=0 <= self.duplicate_distance <= 16, seed=0 <= self.seed < 2**32)  # noqa: PLR2004


RELEASED_LOSSES = LossSettings(severity_positive_weight="none", false_positive_weight=0.1)
"""As in the authors' released code where it departs from the paper."""

_ADAPTER = TypeAdapter(TrainingSettings)


def encode_settings(settings: TrainingSettings) -> str:
    """Indented JSON with every value, in the order of the classes."""
    return _ADAPTER.dump_json(settings, indent=2).decode()


def decode_settings(text: str) -> TrainingSettings:
    """Exactly the keys that `encode_settings` writes: nothing is filled in. Raises TrainingSettingsError that names the key."""
    try:
        settings = _ADAPTER.validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise TrainingSettingsError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    different = sorted(_leaves(json.loads(text)) ^ _leaves(json.loads(encode_settings(settings))))
    if different:
        raise TrainingSettingsError(f"missing or unknown: {', '.join(different[:5])}")
    return settings


def _leaves(document: dict[str, Any], prefix: str = "") -> set[str]:
    """Dotted names of all that is no object."""
    inner = [_leaves(value, f"{prefix}{name}.") for name, value in document.items() if isinstance(value, dict)]
    return {f"{prefix}{name}" for name, value in document.items() if not isinstance(value, dict)}.union(*inner)
