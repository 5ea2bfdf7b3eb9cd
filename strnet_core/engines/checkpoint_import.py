"""A training checkpoint becomes a bundle: offline, once, with everything that the checkpoint does not say asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from strnet_core.bundle import (
    BundleDraft,
    CovariateScaling,
    IntendedUse,
    ModelBundle,
    PreprocessingSettings,
    decision_logit,
    refuse_existing,
    write_bundle,
)
from strnet_core.engines.golden_vectors import GOLDEN_PHANTOMS, SEED, draw_knees, golden_of, predict_knees
from strnet_core.engines.import_threshold import ChosenThreshold, ThresholdChoice, choose_threshold
from strnet_core.engines.torch_engine import TorchEngine
from strnet_core.errors import CheckpointError
from strnet_core.network.build import PARAMETERS, build_strnet_with
from strnet_core.network.checkpoint import Checkpoint, read_checkpoint
from strnet_core.network.key_map import KeyMap, MappedWeights, map_weights

Progress = Callable[[str], None]

_CARD = """# STR-Net, imported weights

**{warning}**

- Imported from a training checkpoint (file SHA-256 `{sha256}`){parallel}.
- {converted}
- {renamed}
- The preprocessing and the scaling of the covariates below were stated at import or are this project's defaults. The authors published
  neither data loader nor scaling: whether they are those of the training is not known unless the provenance says so.
- Golden vectors were computed at import, by torch in float32 on a processor. They prove that a machine computes the same, not that
  the result is right."""
WARNINGS: Mapping[IntendedUse, str] = {
    IntendedUse.DEMONSTRATION: "Demonstration only. Not for patients.",
    IntendedUse.RESEARCH: "For research only. Not for clinical decisions.",
    IntendedUse.CLINICAL: "Declared for clinical use by the importer, on the evidence stated below.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportChoices:
    """What a checkpoint does not say. Raises CheckpointError for clinical use without evidence and for a wrong severity threshold."""

    threshold: ThresholdChoice = field(default_factory=ThresholdChoice)
    severity_threshold: float | None = 0.5
    """0.5 as in the released code."""
    intended_use: IntendedUse = IntendedUse.RESEARCH
    evidence: str = ""
    provenance: str = ""
    licence: str = ""
    manufacturer: str = ""
    version: str = ""
    """Empty: made from the checkpoint's hash."""
    key_map: KeyMap = field(default_factory=dict)
    ignored_keys: frozenset[str] = frozenset()
    to_float32: bool = False
    preprocessing: PreprocessingSettings = field(default_factory=PreprocessingSettings)
    covariates: CovariateScaling = field(default_factory=CovariateScaling)

    def __post_init__(self) -> None:
        if self.intended_use is IntendedUse.CLINICAL and not self.evidence.strip():
            raise CheckpointError("intended use clinical needs evidence")
        if self.severity_threshold is not None:
            try:
                decision_logit(self.severity_threshold)
            except ValueError as error:
                raise CheckpointError(f"severity: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedCheckpoint:
    bundle: ModelBundle
    was_parallel: bool
    converted: Mapping[str, int]
    """Tensors converted to float32, by their former type."""


def import_checkpoint(path: Path, folder: Path, choices: ImportChoices, progress: Progress | None = None) -> ImportedCheckpoint:
    """Write a bundle of a checkpoint's weights (a few seconds). `progress` is told what is being done.

    Raises BundleExistsError before anything is read, CheckpointError for the checkpoint, ImplausibleOutputError where these weights
    give no finite numbers.
    """
    refuse_existing(folder)
    say = progress or _silent
    say("reading the checkpoint")
    checkpoint = read_checkpoint(path, choices.ignored_keys)
    threshold = choose_threshold(checkpoint.best_threshold, choices.threshold)
    mapped = map_weights(checkpoint.tensors, choices.key_map, to_float32=choices.to_float32)
    say("computing golden vectors")
    version = choices.version or f"checkpoint {checkpoint.sha256[:12]}"
    draft = draft_of(mapped.weights, threshold, choices, version, _card(checkpoint, mapped, choices))
    say("writing")
    bundle = write_bundle(folder, draft)
    return ImportedCheckpoint(bundle=bundle, was_parallel=checkpoint.was_parallel, converted=mapped.converted)


def draft_of(
    weights: Mapping[str, npt.NDArray[np.generic]], threshold: ChosenThreshold, choices: ImportChoices, version: str, card: str
) -> BundleDraft:
    """A bundle of these weights, with golden vectors that are computed now. Raises ArchitectureError and ImplausibleOutputError."""
    network = build_strnet_with(weights)
    engine = TorchEngine(network, choices.preprocessing, torch.device("cpu"), scaling=choices.covariates)
    knees = draw_knees(GOLDEN_PHANTOMS, SEED, choices.preprocessing)
    return BundleDraft(
        version=version,
        parameters=PARAMETERS,
        weights=weights,
        intended_use=choices.intended_use,
        card=card,
        screening_threshold=threshold.value,
        severity_threshold=choices.severity_threshold,
        threshold_origin=f"screening: {threshold.origin}; severity: stated at import, 0.5 in the released code",
        preprocessing=choices.preprocessing,
        covariates=choices.covariates,
        evidence=choices.evidence,
        manufacturer=choices.manufacturer,
        provenance=choices.provenance,
        licence=choices.licence,
        golden=golden_of(knees, predict_knees(engine, knees)),
    )


def _card(checkpoint: Checkpoint, mapped: MappedWeights, choices: ImportChoices) -> str:
    converted = ", ".join(f"{count} from {name}" for name, count in mapped.converted.items())
    return _CARD.format(
        warning=WARNINGS[choices.intended_use],
        sha256=checkpoint.sha256,
        parallel=", saved from DataParallel" if checkpoint.was_parallel else "",
        converted=f"Tensors converted to float32: {converted}."
        if converted
        else "All tensors were float32 and were taken over to the bit.",
        renamed=f"{len(choices.key_map)} tensors were renamed by an explicit map." if choices.key_map else "No tensor was renamed.",
    )


def _silent(_message: str) -> None:
    return
