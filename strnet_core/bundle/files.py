"""Reading a bundle's folder. What is read is hashed before it is used, and nothing is ever unpickled."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from strnet_core.bundle.document import from_document
from strnet_core.bundle.folder import CARD_FILE, DOCUMENT_FILE, WEIGHTS_FILE, check_folder
from strnet_core.bundle.golden import GOLDEN_FILE, Golden, decode_golden
from strnet_core.bundle.model_bundle import ModelBundle
from strnet_core.bundle.strict_json import Document, parse_object
from strnet_core.errors import BundleError, BundleFolderError, BundleMissingError, CardDamagedError, GoldenDamagedError, WeightsDamagedError

Weights = Mapping[str, npt.NDArray[np.generic]]

_MAX_TEXT_BYTES = 16 * 1024 * 1024
"""Of bundle.json, the card and the golden vectors; ours are below 0.1 MB."""


def load_bundle(folder: Path) -> ModelBundle:
    """The bundle in a folder, with every hash checked (about 0.1 s for 96 MB of weights). Raises BundleError subclasses.

    The folder holds bundle.json, weights.safetensors, card.md and golden/golden.json, and nothing else: links and undeclared files
    are refused. Golden vectors are compared by `engines.verification.verify_bundle`, with the engine that is then used.
    """
    check_folder(folder)
    bundle = from_document(_read_document(folder), folder)
    _check(_file_sha256(folder / WEIGHTS_FILE), bundle.weights_sha256, WeightsDamagedError)
    card_text(bundle)
    read_golden(bundle)
    return bundle


def read_weights(bundle: ModelBundle) -> dict[str, npt.NDArray[np.generic]]:
    """The weights as arrays by name. They are hashed in memory first: what was verified is what is used."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        content = (bundle.folder / WEIGHTS_FILE).read_bytes()
    except OSError as error:
        raise BundleMissingError(WEIGHTS_FILE) from error
    _check(hashlib.sha256(content).hexdigest(), bundle.weights_sha256, WeightsDamagedError)
    try:
        return dict(load(content))
    except (SafetensorError, ValueError, KeyError) as error:
        raise WeightsDamagedError(str(error)) from error


def card_text(bundle: ModelBundle) -> str:
    """The model card (Markdown), hashed before it is returned. Raises BundleMissingError and CardDamagedError."""
    content = _read_text(bundle.folder, CARD_FILE)
    _check(hashlib.sha256(content).hexdigest(), bundle.card_sha256, CardDamagedError)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CardDamagedError("not UTF-8") from error


def read_golden(bundle: ModelBundle) -> Golden:
    """The golden vectors, hashed before they are read. Raises BundleMissingError, GoldenDamagedError, BundleSchemaError."""
    content = _read_text(bundle.folder, GOLDEN_FILE)
    _check(hashlib.sha256(content).hexdigest(), bundle.golden_sha256, GoldenDamagedError)
    return decode_golden(content)


def _read_document(folder: Path) -> Document:
    return parse_object(_read_text(folder, DOCUMENT_FILE), DOCUMENT_FILE)


def _read_text(folder: Path, name: str) -> bytes:
    try:
        with (folder / name).open("rb") as stream:
            content = stream.read(_MAX_TEXT_BYTES + 1)
    except OSError as error:
        raise BundleMissingError(name) from error
    if len(content) > _MAX_TEXT_BYTES:
        raise BundleFolderError(f"{name} is larger than {_MAX_TEXT_BYTES // 2**20} MB")
    return content


def _file_sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise BundleMissingError(path.name) from error


def _check(digest: str, expected: str, error: type[BundleError]) -> None:
    if digest != expected:
        raise error(f"{digest[:12]} instead of {expected[:12]}")
