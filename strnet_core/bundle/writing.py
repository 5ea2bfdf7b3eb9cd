"""Writing a bundle: the card is made, everything is hashed, and bundle.json comes last."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from strnet_core.bundle.card import render_card
from strnet_core.bundle.covariates import CovariateScaling
from strnet_core.bundle.document import to_document
from strnet_core.bundle.durable_file import write_durably
from strnet_core.bundle.files import Weights, load_bundle
from strnet_core.bundle.folder import CARD_FILE, DOCUMENT_FILE, WEIGHTS_FILE, check_free
from strnet_core.bundle.golden import GOLDEN_FILE, Golden, encode_golden
from strnet_core.bundle.model_bundle import ARCHITECTURE, BUNDLE_NAME, LABELS, IntendedUse, ModelBundle
from strnet_core.bundle.settings import PreprocessingSettings
from strnet_core.bundle.statistics import ReferenceStatistics
from strnet_core.bundle.strict_json import encode_object
from strnet_core.errors import BundleExistsError, BundleSchemaError


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleDraft:
    """What a bundle is written from; the hashes come from the content itself, so thresholds are bound by construction."""

    version: str
    parameters: int
    weights: Weights
    intended_use: IntendedUse
    card: str
    """Markdown that the card begins with: a heading, and what these weights are. The rest of the card is made from the draft."""
    screening_threshold: float | None = None
    severity_threshold: float | None = None
    threshold_origin: str = ""
    preprocessing: PreprocessingSettings = field(default_factory=PreprocessingSettings)
    covariates: CovariateScaling = field(default_factory=CovariateScaling)
    labels: tuple[str, ...] = LABELS
    reference_statistics: ReferenceStatistics | None = None
    evidence: str = ""
    manufacturer: str = ""
    provenance: str = ""
    licence: str = ""
    golden: Golden = field(default_factory=Golden)
    name: str = BUNDLE_NAME
    architecture: str = ARCHITECTURE


def write_bundle(folder: Path, draft: BundleDraft) -> ModelBundle:
    """Write a bundle durably, then load it; bundle.json comes last, so that a cut write leaves no bundle.

    Raises BundleExistsError, BundleFolderError where something else lies in the folder, BundleSchemaError for clinical use
    without evidence.
    """
    from safetensors.numpy import save

    refuse_existing(folder)
    _check_claims(draft)
    weights = save({name: array.copy(order="C") for name, array in draft.weights.items()})
    golden = encode_golden(draft.golden)
    bundle = _describe(folder, draft, _sha256(weights), _sha256(golden))
    card = render_card(bundle, draft.card, draft.golden).encode()
    document = to_document(replace(bundle, card_sha256=_sha256(card)))
    (folder / GOLDEN_FILE).parent.mkdir(parents=True, exist_ok=True)
    write_durably(folder / WEIGHTS_FILE, weights)
    write_durably(folder / CARD_FILE, card)
    write_durably(folder / GOLDEN_FILE, golden)
    write_durably(folder / DOCUMENT_FILE, encode_object(document))
    return load_bundle(folder)


def refuse_existing(folder: Path) -> None:
    """Worth asking before hours of training: raises BundleExistsError, or BundleFolderError where other things lie there."""
    if (folder / DOCUMENT_FILE).exists():
        raise BundleExistsError(folder.name)
    check_free(folder)


def _check_claims(draft: BundleDraft) -> None:
    if draft.intended_use is IntendedUse.CLINICAL and not draft.evidence.strip():
        raise BundleSchemaError("intended_use clinical needs evidence")


def _describe(folder: Path, draft: BundleDraft, weights_sha256: str, golden_sha256: str) -> ModelBundle:
    return ModelBundle(
        folder=folder,
        name=draft.name,
        version=draft.version,
        architecture=draft.architecture,
        parameters=draft.parameters,
        weights_sha256=weights_sha256,
        golden_sha256=golden_sha256,
        bundle_hash="",
        intended_use=draft.intended_use,
        screening_threshold=draft.screening_threshold,
        severity_threshold=draft.severity_threshold,
        thresholds_weights_sha256=weights_sha256,
        threshold_origin=draft.threshold_origin,
        preprocessing=draft.preprocessing,
        covariates=draft.covariates,
        labels=draft.labels,
        reference_statistics=draft.reference_statistics,
        evidence=draft.evidence,
        manufacturer=draft.manufacturer,
        provenance=draft.provenance,
        licence=draft.licence,
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
