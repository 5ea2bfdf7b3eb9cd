"""Makes a bundle's golden vectors and reference statistics from synthetic knees and what an engine says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt

from strnet_core.bundle import (
    QUANTILE_LEVELS,
    Golden,
    GoldenVector,
    PreprocessingSettings,
    ReferenceStatistics,
    Spread,
    Tolerance,
)
from strnet_core.bundle.golden import WIDEST
from strnet_core.engines.base import Covariates, Engine, Prediction, SaliencyMap
from strnet_core.engines.phantom_images import phantom_image
from strnet_core.phantom import PhantomParameters
from strnet_core.preprocessing import Preprocessed

SEED = 20260520
GOLDEN_PHANTOMS = (
    PhantomParameters(side="L", density=0.1, tilt=1.0, marker=False, rows=900, columns=750),
    PhantomParameters(side="R", density=0.4, tilt=-2.0, marker=False, rows=900, columns=750),
    PhantomParameters(side="L", density=0.7, tilt=4.0, marker=False, rows=900, columns=750),
    PhantomParameters(side="R", density=0.95, marker=False, rows=900, columns=750),
)
"""Drawn without marker, whose pixels depend on OpenCV's font."""
_COVARIATES = (
    Covariates(age_years=81.0, sex="F", bmi=21.5),
    Covariates(age_years=67.0, sex="M", bmi=27.0),
    Covariates(age_years=58.0, sex="F", bmi=33.0),
    Covariates(age_years=50.0, sex="M", bmi=24.0),
)
"""Of people who do not exist; both sexes, so that their coding is pinned too."""

FLOAT32 = Tolerance(logit=2e-3, t_score=1e-3, saliency=2e-3)
"""Other threads, layouts and libraries stay below a tenth of it (measured on a processor); other weights or preprocessing do not."""
BFLOAT16 = Tolerance(logit=0.05, t_score=0.05, saliency=0.1)
"""For trained weights, per unit of the logits' spread. No trained weights are published, so this is a limit and no measurement."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SyntheticKnee:
    """A drawn knee, what the network sees of it, and covariates to go with it."""

    parameters: PhantomParameters
    seed: int
    image: Preprocessed
    covariates: Covariates


def draw_knees(parameters: Sequence[PhantomParameters], seed: int, settings: PreprocessingSettings) -> tuple[SyntheticKnee, ...]:
    """Drawn with the seeds `seed`, `seed` + 1 and so on; about 0.2 s each."""
    return tuple(
        SyntheticKnee(
            parameters=each,
            seed=seed + number,
            image=phantom_image(each, seed + number, settings),
            covariates=_COVARIATES[number % len(_COVARIATES)],
        )
        for number, each in enumerate(parameters)
    )


def predict_knees(engine: Engine, knees: Sequence[SyntheticKnee]) -> tuple[Prediction, ...]:
    """One image at a time, as a worker does."""
    return tuple(engine.predict(knee.image.image[np.newaxis], (knee.covariates,))[0] for knee in knees)


def golden_of(knees: Sequence[SyntheticKnee], predictions: Sequence[Prediction], bfloat16: Tolerance = BFLOAT16) -> Golden:
    """Golden vectors of reference predictions; the tolerances grow with the spread of logits and T-scores, where it is above 1."""
    logit = max(float(np.std([each.screening_logit for each in predictions])), float(np.std([each.severity_logit for each in predictions])))
    t_score = float(np.std([each.t_score or 0.0 for each in predictions]))
    return Golden(
        tolerances={"float32": _scaled(FLOAT32, logit, t_score), "bfloat16": _scaled(bfloat16, logit, t_score)},
        vectors=tuple(_vector(knee, prediction) for knee, prediction in zip(knees, predictions, strict=True)),
    )


def statistics_of(over: str, knees: Sequence[SyntheticKnee], predictions: Sequence[Prediction]) -> ReferenceStatistics:
    """Reference statistics over synthetic knees, which `over` must say."""
    logits = np.array([each.screening_logit for each in predictions])
    pixels = [knee.image.image.astype(np.float64) for knee in knees]
    return ReferenceStatistics(
        over=over,
        n=len(knees),
        logit_quantiles=tuple(np.quantile(logits, QUANTILE_LEVELS).tolist()),
        screening_logit=_spread(logits),
        input_mean=_spread(np.array([image.mean() for image in pixels])),
        input_sd=_spread(np.array([image.std() for image in pixels])),
        crop_share=_spread(np.array([_crop_share(knee) for knee in knees])),
        fallback_rate=float(np.mean([knee.image.fallback for knee in knees])),
    )


def _scaled(tolerance: Tolerance, logit: float, t_score: float) -> Tolerance:
    return replace(
        tolerance,
        logit=min(tolerance.logit * max(1.0, logit), WIDEST["logit"]),
        t_score=min(tolerance.t_score * max(1.0, t_score), WIDEST["t_score"]),
    )


def _vector(knee: SyntheticKnee, prediction: Prediction) -> GoldenVector:
    if prediction.t_score is None:
        raise ValueError("a golden vector needs a T-score")
    return GoldenVector(
        phantom=asdict(knee.parameters),
        seed=knee.seed,
        image_sha256=knee.image.sha256,
        age_years=float(knee.covariates.age_years),
        sex=knee.covariates.sex,
        bmi=float(knee.covariates.bmi),
        screening_logit=prediction.screening_logit,
        severity_logit=prediction.severity_logit,
        t_score=prediction.t_score,
        saliency=_rows(prediction.saliency),
    )


def _rows(saliency: SaliencyMap) -> tuple[tuple[float, ...], ...]:
    """Nine significant digits bring a float32 back to the bit."""
    return tuple(tuple(float(f"{cell:.9g}") for cell in row) for row in saliency.tolist())


def _spread(values: npt.NDArray[np.float64]) -> Spread:
    return Spread(mean=float(values.mean()), sd=float(values.std(ddof=1)) if values.size > 1 else 0.0)


def _crop_share(knee: SyntheticKnee) -> float:
    image = knee.image
    return (image.right - image.left) * (image.bottom - image.top) / (knee.parameters.rows * knee.parameters.columns)
