"""Golden vectors: what this bundle must answer for synthetic knees, so that a machine can prove that it computes the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from strnet_core.errors import BundleMissingError, BundleSchemaError

GOLDEN_FILE = "golden/golden.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenVector:
    """One synthetic knee (`phantom.draw` of these parameters and seed) with the expected 8-bit hash and logits."""

    phantom: Mapping[str, str | int | float | bool]
    seed: int
    image_sha256: str
    screening_logit: float
    severity_logit: float
    tolerance: float
    """Largest allowed difference of a logit, on any engine profile that may be used without an equivalence report."""


def encode_golden(vectors: tuple[GoldenVector, ...]) -> bytes:
    """JSON text (UTF-8) of the golden vectors."""
    rows = [{**asdict(vector), "phantom": dict(vector.phantom)} for vector in vectors]
    return json.dumps(rows, indent=2, sort_keys=True).encode()


def read_golden(folder: Path) -> tuple[GoldenVector, ...]:
    """Golden vectors of a bundle's folder. Raises BundleMissingError or BundleSchemaError."""
    try:
        rows = json.loads((folder / GOLDEN_FILE).read_bytes())
    except OSError as error:
        raise BundleMissingError(GOLDEN_FILE) from error
    except ValueError as error:
        raise BundleSchemaError(GOLDEN_FILE) from error
    try:
        return tuple(GoldenVector(**row) for row in rows)
    except TypeError as error:
        raise BundleSchemaError(f"{GOLDEN_FILE}: {error}") from error
