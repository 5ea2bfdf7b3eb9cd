"""Proves on the machine at hand that a bundle with an engine gives what its maker got."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strnet_core.bundle import Golden, GoldenVector, ModelBundle, Tolerance, read_golden
from strnet_core.engines.base import Covariates, Engine, Prediction, SaliencyMap
from strnet_core.engines.phantom_images import phantom_image
from strnet_core.errors import BundleKeyMissingError, BundleSchemaError, GoldenMismatchError
from strnet_core.phantom import PhantomParameters
from strnet_core.preprocessing import Preprocessed

_FAINT = 0.01
"""A map whose maximum is below this share of the strongest golden map is compared relative to that share instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedBundle:
    """What was compared, and the largest differences over all golden vectors."""

    vectors: int
    arithmetic: str
    """Which of the bundle's tolerances was applied: what the engine profile's name ends in."""
    tolerance: Tolerance
    max_difference: float
    """Of a screening or severity logit."""
    max_t_score_difference: float
    max_saliency_difference: float
    """Relative to the maximum of the expected map."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Difference:
    logit: float
    t_score: float
    saliency: float


def verify_bundle(bundle: ModelBundle, engine: Engine) -> VerifiedBundle:
    """Compare every golden vector: 8-bit image to the bit, logits, T-score and map within the tolerance of the engine's arithmetic.

    Whoever verifies should go on with the same engine: it holds the weights whose hash was checked when it was opened.
    Raises GoldenMismatchError, GoldenDamagedError, and BundleSchemaError where the bundle brings no golden vectors, malformed ones,
    or no tolerance for the arithmetic.
    """
    golden = read_golden(bundle)
    if not golden.vectors:
        raise BundleSchemaError("no golden vectors")
    arithmetic = engine.profile.rpartition("-")[2]
    tolerance = golden.tolerances.get(arithmetic)
    if tolerance is None:
        raise BundleKeyMissingError(f"missing key golden.tolerances.{arithmetic}")
    floor = _FAINT * _strongest(golden)
    found = [_checked(number, vector, bundle, engine, tolerance, floor) for number, vector in enumerate(golden.vectors)]
    return VerifiedBundle(
        vectors=len(found),
        arithmetic=arithmetic,
        tolerance=tolerance,
        max_difference=max(each.logit for each in found),
        max_t_score_difference=max(each.t_score for each in found),
        max_saliency_difference=max(each.saliency for each in found),
    )


def _checked(number: int, vector: GoldenVector, bundle: ModelBundle, engine: Engine, tolerance: Tolerance, floor: float) -> _Difference:
    image = _image(vector, bundle)
    if image.sha256 != vector.image_sha256:
        raise GoldenMismatchError(f"vector {number}: the 8-bit image differs")
    covariates = Covariates(age_years=vector.age_years, sex=vector.sex, bmi=vector.bmi)
    (prediction,) = engine.predict(image.image[np.newaxis], (covariates,))
    difference = _difference(vector, prediction, floor)
    for name, value, allowed in (
        ("a logit", difference.logit, tolerance.logit),
        ("the T-score", difference.t_score, tolerance.t_score),
        ("the saliency map", difference.saliency, tolerance.saliency),
    ):
        # written so that a difference that is no number fails
        if not value <= allowed:
            raise GoldenMismatchError(f"vector {number}: {name} differs by {value:.2e}, allowed {allowed:.1e} in {engine.profile}")
    return difference


def _image(vector: GoldenVector, bundle: ModelBundle) -> Preprocessed:
    try:
        parameters = PhantomParameters(**dict(vector.phantom))  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise BundleSchemaError(f"golden vector: {error}") from error
    return phantom_image(parameters, vector.seed, bundle.preprocessing)


def _difference(vector: GoldenVector, prediction: Prediction, floor: float) -> _Difference:
    t_score = float("inf") if prediction.t_score is None else abs(prediction.t_score - vector.t_score)
    screening, severity = prediction.screening_logit - vector.screening_logit, prediction.severity_logit - vector.severity_logit
    return _Difference(
        logit=max(abs(screening), abs(severity)), t_score=t_score, saliency=_saliency_difference(vector, prediction.saliency, floor)
    )


def _saliency_difference(vector: GoldenVector, found: SaliencyMap, floor: float) -> float:
    expected = np.array(vector.saliency, np.float64)
    if expected.shape != found.shape:
        return float("inf")
    largest = float(np.abs(found - expected).max())
    if largest == 0.0:
        return 0.0
    scale = max(float(expected.max()), floor)
    return largest / scale if scale > 0.0 else float("inf")


def _strongest(golden: Golden) -> float:
    return max(max(map(max, vector.saliency)) for vector in golden.vectors)
