"""The value that a loaded bundle is."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from strnet_core.bundle.settings import PreprocessingSettings

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
    """Metadata of a verified bundle. The weights themselves stay in `folder`; `read_weights` reads them."""

    folder: Path
    name: str
    version: str
    architecture: str
    parameters: int
    weights_sha256: str
    bundle_hash: str
    """SHA-256 (hex) over the canonical content of bundle.json: weights hash, thresholds, preprocessing, labels and the rest."""
    intended_use: IntendedUse
    screening_threshold: float | None
    """Between 0 and 1, compared as a logit; None = no decision can be made with this bundle."""
    severity_threshold: float | None
    thresholds_weights_sha256: str
    preprocessing: PreprocessingSettings = field(default_factory=PreprocessingSettings)
    labels: tuple[str, ...] = LABELS
    """Names of the classes 0, 1 and 2."""
    evidence: str = ""
    """Where the performance figures of these weights come from; empty = performance unknown."""
    manufacturer: str = ""

    @property
    def device_uid(self) -> str:
        """`2.25.` UID of the algorithm as a device (PS3.5 B.2), the same for the same bundle everywhere."""
        return f"2.25.{uuid.uuid5(_DEVICE_NAMESPACE, self.bundle_hash).int}"
