"""The frozen network as the gateway sees it: a prepared image and covariates in, one reading out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from gateway.config import ModelSettings
from gateway.domain.finding import ModelIdentity
from gateway.domain.outcome import KneeDecision
from gateway.errors import BundleError, EngineFailedError, EngineMemoryError, GatewayError, ImplausibleOutputError
from gateway.events import Event, log_event
from gateway.inference.decoder import PreparedKnee
from strnet_core.bundle import ModelBundle, copy_shipped_bundle, is_reached, load_bundle, score
from strnet_core.engines.base import Covariates as Covariates  # noqa: PLC0414  handed on: strnet_core stays in this package
from strnet_core.engines.base import Engine, Prediction
from strnet_core.errors import DeviceMemoryError, StrnetError


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One knee as the network saw it. saliency: float32 (16, 16), non-negative. severity_score only for a flagged knee.

    profile: engine, device and arithmetic that computed it.
    """

    decision: KneeDecision
    logit: float
    score: float
    threshold: float
    severity_logit: float
    severity_score: float | None
    t_score: float | None
    saliency: np.ndarray[Any, np.dtype[np.float32]]
    profile: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The knees of one image, at least one, and the covariates of its patient."""

    knees: tuple[PreparedKnee, ...]
    covariates: Covariates | None


Answer = tuple[Reading, ...] | GatewayError
"""One reading per knee, or why there is none: ImplausibleOutputError, EngineMemoryError, EngineFailedError, BundleError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A loaded bundle that can decide."""

    model: ModelBundle
    identity: ModelIdentity


def open_bundle(folder: Path) -> Bundle:
    """Loads and verifies a bundle. BundleError when it is damaged or has no threshold bound to its weights."""
    try:
        model = load_bundle(folder)
    except StrnetError as error:
        raise BundleError(str(error)) from error
    if model.screening_threshold is None:
        raise BundleError("the bundle has no screening threshold; without one nothing can be decided")
    return Bundle(
        model=model,
        identity=ModelIdentity(
            name=model.name,
            version=model.version,
            weights_sha256=model.weights_sha256,
            bundle_hash=model.bundle_hash,
            intended_use=str(model.intended_use),
            screening_threshold=model.screening_threshold,
            severity_threshold=model.severity_threshold,
            manufacturer=model.manufacturer,
            device_uid=model.device_uid,
            evidence=model.evidence,
        ),
    )


def copy_demonstration_bundle(folder: Path) -> None:
    """Writes the demonstration bundle that comes with the package. BundleError where that is damaged or the folder does not take it."""
    try:
        copy_shipped_bundle(folder)
    except StrnetError as error:
        raise BundleError(str(error)) from error
    except OSError as error:
        raise BundleError(f"{folder}: {error.strerror}") from error


class Analyzer:
    """Holds the engine. One caller at a time."""

    def __init__(self, bundle: Bundle, settings: ModelSettings) -> None:
        """Opens the engine and lets it answer the bundle's golden vectors. BundleError where it does not, or cannot be had."""
        from strnet_core.engines.choose import open_engine
        from strnet_core.engines.verification import verify_bundle

        self._bundle = bundle.model
        self.broken = False
        """True once the engine has failed: this process should end."""
        try:
            self._engine: Engine = open_engine(
                bundle.model,
                settings.engine,
                device=settings.device,
                threads=settings.threads or None,
                reports=settings.equivalence,
                allow_cpu_fallback=settings.allow_cpu_fallback,
            )
            verify_bundle(bundle.model, self._engine)
        except StrnetError as error:
            raise BundleError(str(error)) from error
        log_event(Event.ENGINE_OPENED, code=self._engine.profile, bundle_hash=bundle.identity.bundle_hash)

    @property
    def profile(self) -> str:
        return self._engine.profile

    @property
    def batch(self) -> int:
        """Images that the engine computes in one pass."""
        return self._engine.batch

    def read_all(self, asked: Sequence[Question]) -> tuple[Answer, ...]:
        """Runs the network over the knees of several images at once; one answer each, in order. An error stays with its image."""
        try:
            readings = iter(self._predict(asked))
            return tuple(tuple(islice(readings, len(question.knees))) for question in asked)
        except GatewayError as error:
            if len(asked) == 1 or self.broken:
                return (error,) * len(asked)
            return tuple(answer for question in asked for answer in self.read_all((question,)))

    def _predict(self, asked: Sequence[Question]) -> tuple[Reading, ...]:
        threshold = self._bundle.screening_threshold
        if threshold is None:
            raise BundleError("no screening threshold")
        images = np.stack([knee.image for question in asked for knee in question.knees])
        covariates = tuple(question.covariates for question in asked for _ in question.knees)
        try:
            predictions = self._engine.predict(images, covariates)
        except DeviceMemoryError as error:
            raise EngineMemoryError(error.detail) from error
        except StrnetError as error:
            raise ImplausibleOutputError(error.code) from error
        except RuntimeError as error:
            # torch and OpenVINO report a lost device so, and a lost device stays lost for this process
            self.broken = True
            log_event(Event.ENGINE_FAILED, level="error", code=self._engine.profile, error_class=type(error).__name__)
            raise EngineFailedError(type(error).__name__) from error
        for profile in {prediction.profile for prediction in predictions} - {self._engine.profile}:
            log_event(Event.ENGINE_FELL_BACK, level="warning", code=profile)
        return tuple(self._reading(prediction, threshold) for prediction in predictions)

    def _reading(self, prediction: Prediction, threshold: float) -> Reading:
        if not math.isfinite(prediction.screening_logit) or not np.isfinite(prediction.saliency).all():
            raise ImplausibleOutputError("not finite")
        flagged = is_reached(prediction.screening_logit, threshold)
        return Reading(
            decision=KneeDecision.FLAGGED if flagged else KneeDecision.NOT_FLAGGED,
            logit=prediction.screening_logit,
            score=score(prediction.screening_logit),
            threshold=threshold,
            severity_logit=prediction.severity_logit,
            severity_score=score(prediction.severity_logit) if flagged else None,
            t_score=prediction.t_score,
            saliency=prediction.saliency,
            profile=prediction.profile,
        )


def covariates_of(*, age_years: int | None, sex: str, size_m: float | None, weight_kg: float | None) -> Covariates | None:
    """Age, sex and body mass index when the header has all of them: the exploratory T-score has no image-only path."""
    if age_years is None or sex not in ("M", "F") or not size_m or not weight_kg:
        return None
    try:
        return Covariates(age_years=float(age_years), sex="M" if sex == "M" else "F", bmi=weight_kg / (size_m * size_m))
    except ValueError:
        # a size in centimetres, a weight in grams: what the screening does not need must not stop it
        return None
