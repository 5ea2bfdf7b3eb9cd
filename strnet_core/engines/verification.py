"""Proves on the machine at hand that a bundle with an engine gives what its maker got."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strnet_core.bundle import GoldenVector, ModelBundle, read_golden
from strnet_core.engines.base import Engine
from strnet_core.engines.phantom_images import phantom_image
from strnet_core.errors import BundleSchemaError, GoldenMismatchError
from strnet_core.phantom import PhantomParameters
from strnet_core.preprocessing import Preprocessed


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedBundle:
    """What was compared."""

    vectors: int
    max_difference: float
    """Largest difference of a logit over all golden vectors."""


def verify_bundle(bundle: ModelBundle, engine: Engine) -> VerifiedBundle:
    """Compare every golden vector: 8-bit image to the bit, logits within the stated tolerance.

    Raises GoldenMismatchError, and BundleSchemaError where the bundle brings no golden vectors or malformed ones.
    """
    vectors = read_golden(bundle.folder)
    if not vectors:
        raise BundleSchemaError("no golden vectors")
    largest = 0.0
    for number, vector in enumerate(vectors):
        image = _image(vector, bundle)
        if image.sha256 != vector.image_sha256:
            raise GoldenMismatchError(f"vector {number}: the 8-bit image differs")
        difference = _difference(vector, image, engine)
        if not difference <= vector.tolerance:
            raise GoldenMismatchError(f"vector {number}: a logit differs by {difference:.2e}, allowed {vector.tolerance:.0e}")
        largest = max(largest, difference)
    return VerifiedBundle(vectors=len(vectors), max_difference=largest)


def _image(vector: GoldenVector, bundle: ModelBundle) -> Preprocessed:
    try:
        parameters = PhantomParameters(**dict(vector.phantom))  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise BundleSchemaError(f"golden vector: {error}") from error
    return phantom_image(parameters, vector.seed, bundle.preprocessing)


def _difference(vector: GoldenVector, image: Preprocessed, engine: Engine) -> float:
    (prediction,) = engine.predict(image.image[np.newaxis], (None,))
    return max(
        abs(prediction.screening_logit - vector.screening_logit),
        abs(prediction.severity_logit - vector.severity_logit),
    )
