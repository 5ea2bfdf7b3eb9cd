"""Net benefit of acting on the score, against referring everybody and nobody (Vickers and Elkin 2006)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strnet_core.bundle import decision_logit
from strnet_core.evaluation.bootstrap import DEFAULT_RESAMPLING, Resampling, draws, interval
from strnet_core.evaluation.discrimination import Question
from strnet_core.evaluation.estimate import Estimate

PREFERENCES = tuple(each / 100.0 for each in range(5, 61, 5))
"""From which risk on a person would be referred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetBenefit:
    """True positives per case, less false positives weighed by the odds of the preference. Referring nobody has 0."""

    preference: float
    score: Estimate
    everybody: float


def decision_curve(question: Question, resampling: Resampling = DEFAULT_RESAMPLING) -> tuple[NetBenefit, ...]:
    """At the prevalence of the cases, the score read as a probability. Stratified resampling keeps that prevalence."""
    drawn = draws(question.truth, question.clusters, resampling).astype(np.float64)
    prevalence = float(question.truth.mean())
    rows = []
    for preference in PREFERENCES:
        decided, odds = question.logits >= decision_logit(preference), preference / (1.0 - preference)
        worth = decided * np.where(question.truth, 1.0, -odds)
        resampled = (drawn @ worth) / drawn.sum(axis=1)
        rows.append(
            NetBenefit(
                preference=preference,
                score=interval(float(worth.mean()), resampled, resampling.method, ""),
                everybody=prevalence - (1.0 - prevalence) * odds,
            )
        )
    return tuple(rows)
