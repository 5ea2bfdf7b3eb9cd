"""Golden vectors: what this bundle must answer for synthetic knees, so that a machine can prove that it computes the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Literal

from strnet_core.bundle.strict_json import Document, check_keys, check_rows, encode_object, parse_object
from strnet_core.errors import BundleSchemaError

GOLDEN_FILE = "golden/golden.json"
WIDEST: Mapping[str, float] = {"logit": 1.0, "t_score": 1.0, "saliency": 0.5}
"""A tolerance above these would prove nothing and is refused."""

Sex = Literal["M", "F"]
Rows = tuple[tuple[float, ...], ...]

_VECTOR_TYPES: Mapping[str, tuple[type, ...]] = {
    "phantom": (dict,),
    "seed": (int,),
    "image_sha256": (str,),
    "covariates": (dict,),
    "screening_logit": (float,),
    "severity_logit": (float,),
    "t_score": (float,),
    "saliency": (list,),
}
_COVARIATE_TYPES: Mapping[str, tuple[type, ...]] = {"age_years": (float,), "sex": (str,), "bmi": (float,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """Largest allowed differences in one arithmetic. Raises ValueError outside of (0, WIDEST]."""

    logit: float
    t_score: float
    saliency: float
    """Relative to the maximum of the expected map."""

    def __post_init__(self) -> None:
        wrong = [name for name, widest in WIDEST.items() if not 0.0 < getattr(self, name) <= widest]
        if wrong:
            raise ValueError(f"out of range: {', '.join(wrong)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenVector:
    """One synthetic knee (`phantom.draw` of these parameters and seed) with everything that is expected of it."""

    phantom: Mapping[str, str | int | float | bool]
    seed: int
    image_sha256: str
    """Of the 8-bit network input, before the float step: equal to the bit on every machine."""
    age_years: float
    sex: Sex
    bmi: float
    """kg/m2."""
    screening_logit: float
    severity_logit: float
    t_score: float
    """For the covariates above."""
    saliency: Rows
    """Rows of the map of the screening logit (16 x 16 for 512 x 512), 0 and up, not normalised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """All golden vectors of a bundle, computed in float32 by torch on a processor, and how closely they must be met."""

    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)
    """By arithmetic, which is what an engine profile's name ends in: `float32`, `bfloat16`."""
    vectors: tuple[GoldenVector, ...] = ()


def encode_golden(golden: Golden) -> bytes:
    """JSON text (UTF-8)."""
    return encode_object(
        {
            "tolerances": {name: asdict(tolerance) for name, tolerance in golden.tolerances.items()},
            "vectors": [_encode_vector(vector) for vector in golden.vectors],
        }
    )


def decode_golden(content: bytes) -> Golden:
    """What `encode_golden` wrote. Raises BundleSchemaError or a subclass, which names the key."""
    document = check_keys(parse_object(content, GOLDEN_FILE), {"tolerances": (dict,), "vectors": (list,)}, "golden.")
    tolerances = {name: _decode_tolerance(name, value) for name, value in document["tolerances"].items()}
    vectors = check_rows(document["vectors"], "golden.vectors")
    return Golden(
        tolerances=tolerances,
        vectors=tuple(_decode_vector(vector, f"golden.vectors[{number}].") for number, vector in enumerate(vectors)),
    )


def _encode_vector(vector: GoldenVector) -> Document:
    return {
        "phantom": dict(vector.phantom),
        "seed": vector.seed,
        "image_sha256": vector.image_sha256,
        "covariates": {"age_years": vector.age_years, "sex": vector.sex, "bmi": vector.bmi},
        "screening_logit": vector.screening_logit,
        "severity_logit": vector.severity_logit,
        "t_score": vector.t_score,
        "saliency": [list(row) for row in vector.saliency],
    }


def _decode_tolerance(name: str, value: object) -> Tolerance:
    checked = check_keys(value, {item.name: (float,) for item in fields(Tolerance)}, f"golden.tolerances.{name}.")
    try:
        return Tolerance(**checked)
    except ValueError as error:
        raise BundleSchemaError(f"golden.tolerances.{name}: {error}") from error


def _decode_vector(row: Document, prefix: str) -> GoldenVector:
    checked = dict(check_keys(row, _VECTOR_TYPES, prefix))
    covariates = check_keys(checked.pop("covariates"), _COVARIATE_TYPES, f"{prefix}covariates.")
    if covariates["sex"] not in ("M", "F"):
        raise BundleSchemaError(f"{prefix}covariates.sex")
    saliency = _decode_rows(checked.pop("saliency"), f"{prefix}saliency")
    return GoldenVector(**checked, **covariates, saliency=saliency)


def _decode_rows(value: list[object], name: str) -> Rows:
    rows: list[tuple[float, ...]] = []
    for row in value:
        if not isinstance(row, list) or len(row) != len(value) or not all(type(cell) is float and cell >= 0.0 for cell in row):
            raise BundleSchemaError(f"{name} is not a square of numbers from 0 up")
        rows.append(tuple(row))
    if not rows:
        raise BundleSchemaError(f"{name} is empty")
    return tuple(rows)
