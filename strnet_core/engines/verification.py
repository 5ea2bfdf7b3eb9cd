"""Proves on the machine at hand that a bundle with an engine gives what its maker got."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from strnet_core.bundle import Golden, GoldenVector, ModelBundle, Tolerance, read_golden
from strnet_core.engines.base import Covariates, Engine, Prediction, SaliencyMap
from strnet_core.engines.phantom_images import phantom_image
from strnet_core.errors import BundleKeyMissingError, BundleSchemaError, GoldenMismatchError
from strnet_core.phantom import PhantomParameters
from strnet_core.preprocessing import Preprocessed

_FAINT = 0.01
"""A map whose maximum is below this share of the strongest golden map is compared relative to that share instead."""
_NAMES = {"logit": "a logit", "t_score": "the T-score", "saliency": "the saliency map"}


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
class ComparedKnee:
    """What was seen of a golden vector's knee, beside what is expected of it.

    beyond: what differs by more than the tolerance: `input` (the 8-bit image, to the bit), `logit`, `t_score`, `saliency`.
    """

    beyond: tuple[str, ...]
    logit: float
    """The larger difference of the two logits."""
    t_score: float
    saliency: float
    """Relative to the maximum of the expected map; inf for a map of another shape."""


def compare_knee(golden: Golden, number: int, image_sha256: str, prediction: Prediction) -> ComparedKnee:
    """Against vector `number` (from 0), within the tolerance of the arithmetic that computed the prediction.

    Raises BundleKeyMissingError where the bundle has no tolerance for it.
    """
    vector, tolerance = golden.vectors[number], tolerance_of(golden, prediction.profile)
    difference = _difference(vector, prediction, _FAINT * _strongest(golden))
    # written so that a difference that is no number is beyond
    beyond = [name for name in ("logit", "t_score", "saliency") if not getattr(difference, name) <= getattr(tolerance, name)]
    return replace(difference, beyond=(*(("input",) if image_sha256 != vector.image_sha256 else ()), *beyond))


def tolerance_of(golden: Golden, profile: str) -> Tolerance:
    """BundleKeyMissingError where the bundle has none for the profile's arithmetic."""
    arithmetic = profile.rpartition("-")[2]
    tolerance = golden.tolerances.get(arithmetic)
    if tolerance is None:
        raise BundleKeyMissingError(f"missing key golden.tolerances.{arithmetic}")
    return tolerance


def verify_bundle(bundle: ModelBundle, engine: Engine) -> VerifiedBundle:
    """Compare every golden vector: 8-bit image to the bit, logits, T-score and map within the tolerance of the engine's arithmetic.

    Whoever verifies should go on with the same engine: it holds the weights whose hash was checked when it was opened.
    Raises GoldenMismatchError, GoldenDamagedError, and BundleSchemaError where the bundle brings no golden vectors, malformed ones,
    or no tolerance for the arithmetic.
    """
    golden = read_golden(bundle)
    if not golden.vectors:
        raise BundleSchemaError("no golden vectors")
    tolerance = tolerance_of(golden, engine.profile)
    found = [_checked(number, bundle, golden, engine) for number in range(len(golden.vectors))]
    return VerifiedBundle(
        vectors=len(found),
        arithmetic=engine.profile.rpartition("-")[2],
        tolerance=tolerance,
        max_difference=max(each.logit for each in found),
        max_t_score_difference=max(each.t_score for each in found),
        max_saliency_difference=max(each.saliency for each in found),
    )


def _checked(number: int, bundle: ModelBundle, golden: Golden, engine: Engine) -> ComparedKnee:
    vector, tolerance = golden.vectors[number], tolerance_of(golden, engine.profile)
    image = _image(vector, bundle)
    if image.sha256 != vector.image_sha256:
        raise GoldenMismatchError(f"vector {number}: the 8-bit image differs")
    covariates = Covariates(age_years=vector.age_years, sex=vector.sex, bmi=vector.bmi)
    (prediction,) = engine.predict(image.image[np.newaxis], (covariates,))
    found = compare_knee(golden, number, image.sha256, replace(prediction, profile=engine.profile))
    for name in found.beyond:
        value, allowed = getattr(found, name), getattr(tolerance, name)
        raise GoldenMismatchError(f"vector {number}: {_NAMES[name]} differs by {value:.2e}, allowed {allowed:.1e} in {engine.profile}")
    return found


def phantom_of(vector: GoldenVector) -> PhantomParameters:
    """What the vector's knee is drawn with. BundleSchemaError where nothing can be drawn with it."""
    try:
        return PhantomParameters(**dict(vector.phantom))  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise BundleSchemaError(f"golden vector: {error}") from error


def _image(vector: GoldenVector, bundle: ModelBundle) -> Preprocessed:
    return phantom_image(phantom_of(vector), vector.seed, bundle.preprocessing)


def _difference(vector: GoldenVector, prediction: Prediction, floor: float) -> ComparedKnee:
    t_score = float("inf") if prediction.t_score is None else abs(prediction.t_score - vector.t_score)
    screening, severity = prediction.screening_logit - vector.screening_logit, prediction.severity_logit - vector.severity_logit
    return ComparedKnee(
        beyond=(),
        logit=max(abs(screening), abs(severity)),
        t_score=t_score,
        saliency=_saliency_difference(vector, prediction.saliency, floor),
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
