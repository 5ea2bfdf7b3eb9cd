"""Reading and writing a bundle's folder: bundle.json, weights.safetensors, card.md, golden/. Nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from strnet_core.bundle.document import Document, bundle_hash, from_document, to_document
from strnet_core.bundle.golden import GOLDEN_FILE, GoldenVector, encode_golden
from strnet_core.bundle.model_bundle import ARCHITECTURE, BUNDLE_NAME, LABELS, IntendedUse, ModelBundle
from strnet_core.bundle.settings import PreprocessingSettings
from strnet_core.errors import BundleExistsError, BundleMissingError, BundleSchemaError, PickleInBundleError, WeightsDamagedError

WEIGHTS_FILE = "weights.safetensors"
CARD_FILE = "card.md"
DOCUMENT_FILE = "bundle.json"
_PICKLE_SUFFIXES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz", ".bin"})

Weights = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleDraft:
    """What a bundle is written from; the hashes come from the weights themselves, so thresholds are bound by construction."""

    version: str
    parameters: int
    weights: Weights
    intended_use: IntendedUse
    card: str
    screening_threshold: float | None = None
    severity_threshold: float | None = None
    preprocessing: PreprocessingSettings = field(default_factory=PreprocessingSettings)
    labels: tuple[str, ...] = LABELS
    evidence: str = ""
    manufacturer: str = ""
    golden: tuple[GoldenVector, ...] = ()
    name: str = BUNDLE_NAME
    architecture: str = ARCHITECTURE


def load_bundle(folder: Path) -> ModelBundle:
    """The bundle in a folder, with every hash checked (about 0.1 s for 96 MB of weights). Raises BundleError subclasses."""
    _refuse_pickles(folder)
    bundle = from_document(_read_document(folder), folder)
    digest = _file_sha256(folder / WEIGHTS_FILE)
    if digest != bundle.weights_sha256:
        raise WeightsDamagedError(f"{digest[:12]} instead of {bundle.weights_sha256[:12]}")
    return bundle


def read_weights(bundle: ModelBundle) -> dict[str, npt.NDArray[np.generic]]:
    """The weights as arrays by name. They are hashed in memory first: what was verified is what is used."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        content = (bundle.folder / WEIGHTS_FILE).read_bytes()
    except OSError as error:
        raise BundleMissingError(WEIGHTS_FILE) from error
    if hashlib.sha256(content).hexdigest() != bundle.weights_sha256:
        raise WeightsDamagedError(WEIGHTS_FILE)
    try:
        return dict(load(content))
    except (SafetensorError, ValueError, KeyError) as error:
        raise WeightsDamagedError(str(error)) from error


def card_text(bundle: ModelBundle) -> str:
    """The model card (Markdown). Raises BundleMissingError."""
    try:
        return (bundle.folder / CARD_FILE).read_text(encoding="utf-8")
    except OSError as error:
        raise BundleMissingError(CARD_FILE) from error


def write_bundle(folder: Path, draft: BundleDraft) -> ModelBundle:
    """Write a bundle durably; bundle.json comes last, so that a cut write leaves no bundle. Raises BundleExistsError."""
    from safetensors.numpy import save

    refuse_existing(folder)
    content = save({name: array.copy(order="C") for name, array in draft.weights.items()})
    bundle = _describe(folder, draft, hashlib.sha256(content).hexdigest())
    (folder / GOLDEN_FILE).parent.mkdir(parents=True, exist_ok=True)
    _write_durably(folder / WEIGHTS_FILE, content)
    _write_durably(folder / CARD_FILE, draft.card.encode())
    _write_durably(folder / GOLDEN_FILE, encode_golden(draft.golden))
    document = to_document(bundle)
    _write_durably(folder / DOCUMENT_FILE, json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n")
    return load_bundle(folder)


def refuse_existing(folder: Path) -> None:
    """Raises BundleExistsError where the folder holds a bundle: worth asking before hours of training."""
    if (folder / DOCUMENT_FILE).exists():
        raise BundleExistsError(folder.name)


def _describe(folder: Path, draft: BundleDraft, digest: str) -> ModelBundle:
    bundle = ModelBundle(
        folder=folder,
        name=draft.name,
        version=draft.version,
        architecture=draft.architecture,
        parameters=draft.parameters,
        weights_sha256=digest,
        bundle_hash="",
        intended_use=draft.intended_use,
        screening_threshold=draft.screening_threshold,
        severity_threshold=draft.severity_threshold,
        thresholds_weights_sha256=digest,
        preprocessing=draft.preprocessing,
        labels=draft.labels,
        evidence=draft.evidence,
        manufacturer=draft.manufacturer,
    )
    return replace(bundle, bundle_hash=bundle_hash(to_document(bundle)))


def _read_document(folder: Path) -> Document:
    try:
        document = json.loads((folder / DOCUMENT_FILE).read_bytes())
    except OSError as error:
        raise BundleMissingError(DOCUMENT_FILE) from error
    except ValueError as error:
        raise BundleSchemaError(f"{DOCUMENT_FILE} is not JSON") from error
    if not isinstance(document, dict):
        raise BundleSchemaError(f"{DOCUMENT_FILE} is not an object")
    return document


def _refuse_pickles(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in _PICKLE_SUFFIXES:
            raise PickleInBundleError(str(path.relative_to(folder)))


def _file_sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise BundleMissingError(path.name) from error


def _write_durably(path: Path, content: bytes) -> None:
    """Write beside, fsync, rename, fsync the folder: after a crash the file is whole or absent."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
