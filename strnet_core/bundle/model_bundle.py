"""The value that a loaded bundle is."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from strnet_core.bundle.covariates import CovariateScaling
from strnet_core.bundle.settings import PreprocessingSettings
from strnet_core.bundle.statistics import ReferenceStatistics

BUNDLE_NAME = "STR-Net"
ARCHITECTURE = "strnet-resnet50-released"
LABELS = ("normal", "osteopenia", "osteoporosis")
_DEVICE_NAMESPACE = uuid.UUID("6f1c0b0e-6a7e-5d0b-9d53-0f6f5a6f2f5e")


class IntendedUse(StrEnum):
    """What the bundle's maker allows it to be used for; from the least to the most."""

    DEMONSTRATION = "demonstration"
    RESEARCH = "research"
    CLINICAL = "clinical"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelBundle:
    """Metadata of a verified bundle. Weights, card and golden vectors stay in `folder`.

    Whoever reads those hashes what was read and compares it with this value, so that only what was verified is used: a file that
    is exchanged after `load_bundle` is refused.
    """

    folder: Path
    name: str
    version: str
    architecture: str
    parameters: int
    weights_sha256: str
    card_sha256: str = ""
    golden_sha256: str = ""
    bundle_hash: str
    """SHA-256 (hex) over the canonical content of bundle.json, which holds the hashes of all other files and every setting."""
    intended_use: IntendedUse
    screening_threshold: float | None
    """Between 0 and 1, compared as a logit; None = no decision can be made with this bundle."""
    severity_threshold: float | None
    thresholds_weights_sha256: str
    threshold_origin: str = ""
    """Where the thresholds come from, in words."""
    preprocessing: PreprocessingSettings = field(default_factory=PreprocessingSettings)
    covariates: CovariateScaling = field(default_factory=CovariateScaling)
    labels: tuple[str, ...] = LABELS
    """Names of the classes 0, 1 and 2."""
    reference_statistics: ReferenceStatistics | None = None
    """None where nobody has measured them."""
    evidence: str = ""
    """Where the performance figures of these weights come from; empty = performance unknown."""
    manufacturer: str = ""
    provenance: str = ""
    """Where the weights come from, in the words of who made the bundle; empty = not stated."""
    licence: str = ""
    """Under which terms the weights may be used, in the words of who made the bundle; empty = not stated."""

    @property
    def device_uid(self) -> str:
        """`2.25.` UID of the algorithm as a device (PS3.5 B.2), the same for the same bundle everywhere."""
        return f"2.25.{uuid.uuid5(_DEVICE_NAMESPACE, self.bundle_hash).int}"
