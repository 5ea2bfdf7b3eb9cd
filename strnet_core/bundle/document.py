"""bundle.json: its keys, their types, and the hash over its canonical form."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

from strnet_core.bundle.covariates import CovariateScaling
from strnet_core.bundle.decision import decision_logit
from strnet_core.bundle.model_bundle import LABELS, IntendedUse, ModelBundle
from strnet_core.bundle.settings import PreprocessingSettings
from strnet_core.bundle.statistics import ReferenceStatistics, Spread
from strnet_core.bundle.strict_json import Document, Types, check_keys
from strnet_core.errors import BundlePreprocessingError, BundleSchemaError, BundleVersionError, ThresholdUnboundError

SCHEMA = 2
_KEYS: Types = {
    "schema": (int,),
    "name": (str,),
    "version": (str,),
    "architecture": (str,),
    "parameters": (int,),
    "weights_sha256": (str,),
    "card_sha256": (str,),
    "golden_sha256": (str,),
    "intended_use": (str,),
    "thresholds": (dict,),
    "preprocessing": (dict,),
    "covariates": (dict,),
    "labels": (list,),
    "reference_statistics": (dict, type(None)),
    "evidence": (str,),
    "manufacturer": (str,),
    "provenance": (str,),
    "licence": (str,),
}
_THRESHOLD_KEYS: Types = {
    "weights_sha256": (str,),
    "screening": (float, type(None)),
    "severity": (float, type(None)),
    "origin": (str,),
}
_STATISTICS_KEYS: Types = {
    "over": (str,),
    "n": (int,),
    "logit_quantiles": (list,),
    "screening_logit": (dict,),
    "input_mean": (dict,),
    "input_sd": (dict,),
    "crop_share": (dict,),
    "fallback_rate": (float,),
}
_SPREADS = ("screening_logit", "input_mean", "input_sd", "crop_share")
_HASHES = ("weights_sha256", "card_sha256", "golden_sha256")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def default_types(settings: type[Any]) -> Types:
    """The type of every field of a dataclass of plain defaults, by name."""
    return {item.name: (type(item.default),) for item in fields(settings) if item.default is not MISSING}


def canonical_bytes(document: Document) -> bytes:
    """One byte string per content, whatever the file's order and spacing: sorted keys, no spaces, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def bundle_hash(document: Document) -> str:
    """SHA-256 (hex) over the canonical content."""
    return hashlib.sha256(canonical_bytes(document)).hexdigest()


def to_document(bundle: ModelBundle) -> Document:
    """Content of bundle.json for a bundle; `folder` and `bundle_hash` are not part of it."""
    statistics = bundle.reference_statistics
    return {
        "schema": SCHEMA,
        "name": bundle.name,
        "version": bundle.version,
        "architecture": bundle.architecture,
        "parameters": bundle.parameters,
        "weights_sha256": bundle.weights_sha256,
        "card_sha256": bundle.card_sha256,
        "golden_sha256": bundle.golden_sha256,
        "intended_use": bundle.intended_use.value,
        "thresholds": {
            "weights_sha256": bundle.thresholds_weights_sha256,
            "screening": bundle.screening_threshold,
            "severity": bundle.severity_threshold,
            "origin": bundle.threshold_origin,
        },
        "preprocessing": asdict(bundle.preprocessing),
        "covariates": asdict(bundle.covariates),
        "labels": list(bundle.labels),
        "reference_statistics": None if statistics is None else {**asdict(statistics), "logit_quantiles": list(statistics.logit_quantiles)},
        "evidence": bundle.evidence,
        "manufacturer": bundle.manufacturer,
        "provenance": bundle.provenance,
        "licence": bundle.licence,
    }


def from_document(document: Document, folder: Path) -> ModelBundle:
    """The bundle that a document describes. Raises BundleSchemaError, a subclass of it, or ThresholdUnboundError."""
    _check_schema(document)
    check_keys(document, _KEYS)
    for key in _HASHES:
        if not _SHA256.fullmatch(document[key]):
            raise BundleSchemaError(f"{key} is not a SHA-256 in lower case")
    thresholds = check_keys(document["thresholds"], _THRESHOLD_KEYS, "thresholds.")
    if thresholds["weights_sha256"] != document["weights_sha256"]:
        raise ThresholdUnboundError(f"thresholds name the weights {thresholds['weights_sha256'][:12]}")
    return ModelBundle(
        folder=folder,
        name=document["name"],
        version=document["version"],
        architecture=document["architecture"],
        parameters=document["parameters"],
        weights_sha256=document["weights_sha256"],
        card_sha256=document["card_sha256"],
        golden_sha256=document["golden_sha256"],
        bundle_hash=bundle_hash(document),
        intended_use=_intended_use(document["intended_use"]),
        screening_threshold=_threshold(thresholds, "screening"),
        severity_threshold=_threshold(thresholds, "severity"),
        thresholds_weights_sha256=thresholds["weights_sha256"],
        threshold_origin=thresholds["origin"],
        preprocessing=decode_preprocessing(document["preprocessing"]),
        covariates=decode_covariates(document["covariates"]),
        labels=_labels(document["labels"]),
        reference_statistics=_statistics(document["reference_statistics"]),
        evidence=document["evidence"],
        manufacturer=document["manufacturer"],
        provenance=document["provenance"],
        licence=document["licence"],
    )


def decode_preprocessing(mapping: Mapping[str, Any]) -> PreprocessingSettings:
    """Settings of an object that has every field. Raises BundlePreprocessingError that names the field."""
    try:
        return PreprocessingSettings(**check_keys(mapping, default_types(PreprocessingSettings), "preprocessing."))
    except (ValueError, BundleSchemaError) as error:
        raise BundlePreprocessingError(error.detail if isinstance(error, BundleSchemaError) else f"preprocessing: {error}") from error


def decode_covariates(mapping: Mapping[str, Any]) -> CovariateScaling:
    """Scaling of an object that has every field. Raises BundleSchemaError or a subclass."""
    checked = check_keys(mapping, default_types(CovariateScaling), "covariates.")
    try:
        return CovariateScaling(**checked)
    except ValueError as error:
        raise BundleSchemaError(f"covariates: {error}") from error


def _check_schema(document: Document) -> None:
    schema = document.get("schema")
    if type(schema) is int and schema != SCHEMA:
        raise BundleVersionError(f"schema {schema}, this release reads {SCHEMA}")


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


def _statistics(mapping: Document | None) -> ReferenceStatistics | None:
    if mapping is None:
        return None
    values = dict(check_keys(mapping, _STATISTICS_KEYS, "reference_statistics."))
    try:
        for key in _SPREADS:
            values[key] = Spread(**check_keys(values[key], {"mean": (float,), "sd": (float,)}, f"reference_statistics.{key}."))
        values["logit_quantiles"] = tuple(float(value) for value in values["logit_quantiles"])
        return ReferenceStatistics(**values)
    except (ValueError, TypeError) as error:
        raise BundleSchemaError(f"reference_statistics: {error}") from error


def _labels(values: list[object]) -> tuple[str, ...]:
    labels = tuple(value for value in values if isinstance(value, str))
    if len(labels) != len(values) or len(labels) != len(LABELS):
        raise BundleSchemaError("labels: three texts are expected")
    return labels
