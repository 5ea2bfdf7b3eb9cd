"""Measures how far profiles are from the reference: the same images through each in turn, number by number."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from strnet_core.bundle import ModelBundle, decision_logit, is_reached, read_golden, score
from strnet_core.engines.base import Covariates, Engine, Prediction
from strnet_core.engines.machine import this_machine
from strnet_core.engines.phantom_images import phantom_image
from strnet_core.engines.profiles import REFERENCE, profile_named
from strnet_core.engines.reports import LIMITS, EquivalenceReport, Figures, judged
from strnet_core.phantom import PhantomParameters
from strnet_core.preprocessing import UInt8Image

FAINT = 0.01
"""Share of the median map's maximum below which a map counts as faint."""
BATCH = 3
"""Images together against each alone: a number that is padded wherever passes have fixed sizes."""
_COVARIATES = (
    Covariates(age_years=55.0, sex="F", bmi=22.0),
    Covariates(age_years=67.0, sex="M", bmi=27.5),
    Covariates(age_years=81.0, sex="F", bmi=31.0),
)
_MILLISECONDS = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """One image, computed by both."""

    reference: Prediction
    profile: Prediction
    reference_ms: float
    profile_ms: float


def golden_images(bundle: ModelBundle) -> list[UInt8Image]:
    """The synthetic knees of a bundle's golden vectors as the network sees them."""
    return [
        phantom_image(PhantomParameters(**dict(vector.phantom)), vector.seed, bundle.preprocessing).image  # type: ignore[arg-type]
        for vector in read_golden(bundle).vectors
    ]


def compare(reference: Engine, others: Sequence[Engine], images: Iterable[UInt8Image]) -> Mapping[str, list[Pair]]:
    """Every image through the reference and each of the others in turn, one at a time; by profile.

    The first image is computed once before, so that no start falls into a time. Raises ImplausibleOutputError.
    """
    pairs: dict[str, list[Pair]] = {engine.profile: [] for engine in others}
    for number, image in enumerate(images):
        covariates = _COVARIATES[number % len(_COVARIATES)]
        if number == 0:
            for engine in (reference, *others):
                _timed(engine, image, covariates)
        expected, reference_ms = _timed(reference, image, covariates)
        for engine in others:
            got, profile_ms = _timed(engine, image, covariates)
            pairs[engine.profile].append(Pair(reference=expected, profile=got, reference_ms=reference_ms, profile_ms=profile_ms))
    return pairs


def batch_difference(engine: Engine, images: Sequence[UInt8Image]) -> float:
    """Largest difference of a logit between images together and each alone, in their order; 0 without images."""
    if not images:
        return 0.0
    together = engine.predict(np.stack(images), (None,) * len(images))
    alone = [engine.predict(image[np.newaxis], (None,))[0] for image in images]
    return max(_logit_difference(one, other) for one, other in zip(together, alone, strict=True))


def figures_of(pairs: Sequence[Pair], bundle: ModelBundle, max_batch: float) -> Figures:
    """What the pairs (at least one) show. Pure."""
    peaks = [float(pair.reference.saliency.max()) for pair in pairs]
    faint = FAINT * statistics.median(peaks)
    differences = [_logit_difference(pair.reference, pair.profile) for pair in pairs]
    decisions, severities = _flips(pairs, bundle)
    return Figures(
        images=len(pairs),
        max_logit=max(differences),
        mean_logit=statistics.fmean(differences),
        max_score=max(_score_difference(pair) for pair in pairs),
        max_t_score=max(abs((pair.reference.t_score or 0.0) - (pair.profile.t_score or 0.0)) for pair in pairs),
        max_saliency=max(_map_difference(pair, max(peak, faint)) for pair, peak in zip(pairs, peaks, strict=True)),
        faint_maps=sum(peak < faint for peak in peaks),
        max_batch=max_batch,
        decision_flips=len(decisions),
        severity_flips=len(severities),
        widest_flip=max([*decisions, *severities], default=None),
        nearest_decision=_nearest(pairs, bundle.screening_threshold),
        profile_ms=statistics.median(pair.profile_ms for pair in pairs),
        reference_ms=statistics.median(pair.reference_ms for pair in pairs),
    )


def report_on(engine: Engine, pairs: Sequence[Pair], bundle: ModelBundle, *, threads: int, allowed_flips: int = 0) -> EquivalenceReport:
    """The verdict on one profile, with the batch looked at on the engine itself and on the first images' predictions."""
    profile = profile_named(engine.profile)
    figures = figures_of(pairs, bundle, batch_difference(engine, golden_images(bundle)[:BATCH]))
    strangers = {pair.profile.profile for pair in pairs} - {engine.profile} | {pair.reference.profile for pair in pairs} - {REFERENCE.name}
    return EquivalenceReport(
        bundle_hash=bundle.bundle_hash,
        profile=profile,
        reference=REFERENCE,
        machine=this_machine(profile),
        threads=threads,
        figures=figures,
        limits=LIMITS[profile.arithmetic],
        allowed_flips=allowed_flips,
        reasons=(
            *judged(figures, LIMITS[profile.arithmetic], allowed_flips),
            *(f"{name} computed some of it" for name in sorted(strangers)),
        ),
    )


def _timed(engine: Engine, image: UInt8Image, covariates: Covariates) -> tuple[Prediction, float]:
    start = time.perf_counter()
    (prediction,) = engine.predict(image[np.newaxis], (covariates,))
    return prediction, (time.perf_counter() - start) * _MILLISECONDS


def _logit_difference(one: Prediction, other: Prediction) -> float:
    return max(abs(one.screening_logit - other.screening_logit), abs(one.severity_logit - other.severity_logit))


def _score_difference(pair: Pair) -> float:
    return max(
        abs(score(pair.reference.screening_logit) - score(pair.profile.screening_logit)),
        abs(score(pair.reference.severity_logit) - score(pair.profile.severity_logit)),
    )


def _map_difference(pair: Pair, scale: float) -> float:
    difference = float(np.abs(pair.reference.saliency - pair.profile.saliency).max())
    return difference / scale if scale > 0.0 else (0.0 if difference == 0.0 else float("inf"))


def _flips(pairs: Sequence[Pair], bundle: ModelBundle) -> tuple[list[float], list[float]]:
    """Distances of the reference's logits from the threshold, of decisions and of severities that came out differently."""
    screening, severity = bundle.screening_threshold, bundle.severity_threshold
    decisions: list[float] = []
    severities: list[float] = []
    for pair in pairs:
        flipped = _flipped(pair.reference.screening_logit, pair.profile.screening_logit, screening)
        if flipped is not None:
            decisions.append(flipped)
        elif screening is not None and is_reached(pair.reference.screening_logit, screening):
            flipped = _flipped(pair.reference.severity_logit, pair.profile.severity_logit, severity)
            severities += [] if flipped is None else [flipped]
    return decisions, severities


def _flipped(expected: float, got: float, threshold: float | None) -> float | None:
    """Distance of the expected logit from the threshold where the other lies on its other side; None where it does not."""
    if threshold is None or is_reached(expected, threshold) == is_reached(got, threshold):
        return None
    return abs(expected - decision_logit(threshold))


def _nearest(pairs: Sequence[Pair], threshold: float | None) -> float | None:
    if threshold is None:
        return None
    return min(abs(pair.reference.screening_logit - decision_logit(threshold)) for pair in pairs)
