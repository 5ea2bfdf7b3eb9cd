"""bundle.json: its keys, their types, and the hash over its canonical form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any, cast

from strnet_core.bundle.decision import decision_logit
from strnet_core.bundle.model_bundle import LABELS, IntendedUse, ModelBundle
from strnet_core.bundle.settings import PreprocessingSettings
from strnet_core.errors import BundleSchemaError, ThresholdUnboundError

SCHEMA = 1
_KEYS: Mapping[str, tuple[type, ...]] = {
    "schema": (int,),
    "name": (str,),
    "version": (str,),
    "architecture": (str,),
    "parameters": (int,),
    "weights_sha256": (str,),
    "intended_use": (str,),
    "thresholds": (dict,),
    "preprocessing": (dict,),
    "labels": (list,),
    "evidence": (str,),
    "manufacturer": (str,),
}
_THRESHOLD_KEYS: Mapping[str, tuple[type, ...]] = {
    "weights_sha256": (str,),
    "screening": (float, type(None)),
    "severity": (float, type(None)),
}
_SETTING_TYPES: Mapping[str, tuple[type, ...]] = {
    item.name: (type(item.default),) for item in fields(PreprocessingSettings) if item.default is not MISSING
}

Document = dict[str, Any]


def canonical_bytes(document: Document) -> bytes:
    """One byte string per content, whatever the file's order and spacing: sorted keys, no spaces, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def bundle_hash(document: Document) -> str:
    """SHA-256 (hex) over the canonical content."""
    return hashlib.sha256(canonical_bytes(document)).hexdigest()


def to_document(bundle: ModelBundle) -> Document:
    """Content of bundle.json for a bundle; `folder` and `bundle_hash` are not part of it."""
    return {
        "schema": SCHEMA,
        "name": bundle.name,
        "version": bundle.version,
        "architecture": bundle.architecture,
        "parameters": bundle.parameters,
        "weights_sha256": bundle.weights_sha256,
        "intended_use": bundle.intended_use.value,
        "thresholds": {
            "weights_sha256": bundle.thresholds_weights_sha256,
            "screening": bundle.screening_threshold,
            "severity": bundle.severity_threshold,
        },
        "preprocessing": asdict(bundle.preprocessing),
        "labels": list(bundle.labels),
        "evidence": bundle.evidence,
        "manufacturer": bundle.manufacturer,
    }


def from_document(document: Document, folder: Path) -> ModelBundle:
    """The bundle that a document describes. Raises BundleSchemaError (names the key) or ThresholdUnboundError."""
    _check_keys(document, _KEYS, "")
    if document["schema"] != SCHEMA:
        raise BundleSchemaError(f"schema {document['schema']}, this release reads {SCHEMA}")
    thresholds = cast("Document", document["thresholds"])
    _check_keys(thresholds, _THRESHOLD_KEYS, "thresholds.")
    if thresholds["weights_sha256"] != document["weights_sha256"]:
        raise ThresholdUnboundError(f"thresholds name the weights {thresholds['weights_sha256'][:12]}")
    return ModelBundle(
        folder=folder,
        name=document["name"],
        version=document["version"],
        architecture=document["architecture"],
        parameters=document["parameters"],
        weights_sha256=document["weights_sha256"],
        bundle_hash=bundle_hash(document),
        intended_use=_intended_use(document["intended_use"]),
        screening_threshold=_threshold(thresholds, "screening"),
        severity_threshold=_threshold(thresholds, "severity"),
        thresholds_weights_sha256=thresholds["weights_sha256"],
        preprocessing=_settings(cast("Document", document["preprocessing"])),
        labels=_labels(document["labels"]),
        evidence=document["evidence"],
        manufacturer=document["manufacturer"],
    )


def _check_keys(mapping: Document, expected: Mapping[str, tuple[type, ...]], prefix: str) -> None:
    for key in mapping:
        if key not in expected:
            raise BundleSchemaError(f"unknown key {prefix}{key}")
    for key, types in expected.items():
        if key not in mapping:
            raise BundleSchemaError(f"missing key {prefix}{key}")
        # exact types: a bool is an int to isinstance, and 1 is not 1.0 in the hash
        if type(mapping[key]) not in types:
            raise BundleSchemaError(f"wrong type of {prefix}{key}: {type(mapping[key]).__name__}")


def _intended_use(value: str) -> IntendedUse:
    try:
        return IntendedUse(value)
    except ValueError as error:
        raise BundleSchemaError(f"intended_use {value!r}") from error


def _threshold(thresholds: Document, key: str) -> float | None:
    value: float | None = thresholds[key]
    if value is None:
        return None
    try:
        decision_logit(value)
    except ValueError as error:
        raise BundleSchemaError(f"thresholds.{key}: {error}") from error
    return value


def _settings(mapping: Document) -> PreprocessingSettings:
    _check_keys(mapping, _SETTING_TYPES, "preprocessing.")
    try:
        return PreprocessingSettings(**mapping)
    except ValueError as error:
        raise BundleSchemaError(f"preprocessing: {error}") from error


def _labels(values: list[object]) -> tuple[str, ...]:
    labels = tuple(value for value in values if isinstance(value, str))
    if len(labels) != len(values) or len(labels) != len(LABELS):
        raise BundleSchemaError("labels: three texts are expected")
    return labels
