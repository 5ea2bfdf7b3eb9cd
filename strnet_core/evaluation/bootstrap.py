"""The stratified bootstrap: cases are drawn within their class, clusters as a whole, from one seed.

Own code, because scipy's is not stratified, and one resample after the other through scikit-learn takes minutes. All resamples are
matrices of how often each case was drawn; point values come from scikit-learn, which the tests hold these against.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from strnet_core.evaluation.confusion import rates_of
from strnet_core.evaluation.estimate import LEVEL, Estimate, unmeasured

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
_CHUNK = 256
_MOSTLY = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """How often and from which seed."""

    replicates: int = 2000
    seed: int = 42

    @property
    def method(self) -> str:
        """For the reader of an interval."""
        return f"stratified bootstrap, {self.replicates} resamples"


DEFAULT_RESAMPLING = Resampling()


def draws(truth: BoolArray, clusters: npt.NDArray[np.int64], resampling: Resampling) -> npt.NDArray[np.uint16]:
    """(replicates, n) uint16: how often each case was drawn. Clusters are drawn with replacement within each class.

    A cluster with cases of both classes is one in each.
    """
    generator = np.random.default_rng(resampling.seed)
    drawn = np.zeros((resampling.replicates, truth.size), np.uint16)
    for stratum in (truth, ~truth):
        where = np.flatnonzero(stratum)
        names, belongs = np.unique(clusters[where], return_inverse=True)
        if names.size:
            often = generator.multinomial(names.size, np.full(names.size, 1.0 / names.size), size=resampling.replicates)
            drawn[:, where] = often[:, belongs]
    return drawn


def interval(value: float | None, resampled: FloatArray, method: str, missing: str) -> Estimate:
    """Percentile interval around a point value; resamples in which the figure is not defined (NaN) are left out, and told.

    `missing` says why there is no value, where there is none.
    """
    if value is None:
        return unmeasured(missing)
    known = resampled[np.isfinite(resampled)]
    if known.size < _MOSTLY * resampled.size:
        return Estimate(value=value, method=f"no interval: undefined in {resampled.size - known.size} of {resampled.size} resamples")
    low, high = np.quantile(known, ((1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0))
    told = "" if known.size == resampled.size else f", undefined in {resampled.size - known.size}"
    return Estimate(value=value, low=float(low), high=float(high), method=method + told)


def auroc_resampled(truth: BoolArray, scores: FloatArray, drawn: npt.NDArray[np.uint16]) -> FloatArray:
    """(replicates,) area under the ROC curve, ties counted half."""
    found = []
    for positives, negatives in _by_score(truth, scores, drawn):
        below = np.cumsum(negatives, axis=1) - negatives
        found.append(_ratio((positives * (below + negatives / 2.0)).sum(axis=1), positives.sum(axis=1) * negatives.sum(axis=1)))
    return np.concatenate(found)


def auprc_resampled(truth: BoolArray, scores: FloatArray, drawn: npt.NDArray[np.uint16]) -> FloatArray:
    """(replicates,) average precision as scikit-learn has it: the sum of precision times the gain in recall."""
    found = []
    for positives, negatives in _by_score(truth, -scores, drawn):
        reached = np.cumsum(positives, axis=1)
        precision = _ratio(reached, reached + np.cumsum(negatives, axis=1), otherwise=0.0)
        found.append(_ratio((precision * positives).sum(axis=1), positives.sum(axis=1)))
    return np.concatenate(found)


def rates_resampled(truth: BoolArray, decided: BoolArray, drawn: npt.NDArray[np.uint16]) -> dict[str, FloatArray]:
    """(replicates,) each of the rates of `confusion.RATES`."""
    cells = [
        (drawn[:, cell].sum(axis=1)).astype(np.float64) for cell in (truth & decided, truth & ~decided, ~truth & ~decided, ~truth & decided)
    ]
    return rates_of(*cells)


def _by_score(truth: BoolArray, scores: FloatArray, drawn: npt.NDArray[np.uint16]) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Per chunk of resamples: positives and negatives drawn at each distinct score, from the lowest on."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) > 0.0])
    positive = truth[order]
    for first in range(0, drawn.shape[0], _CHUNK):
        often = drawn[first : first + _CHUNK, order].astype(np.float64)
        yield np.add.reduceat(often * positive, starts, axis=1), np.add.reduceat(often * ~positive, starts, axis=1)


def _ratio(above: FloatArray, below: FloatArray, otherwise: float = np.nan) -> FloatArray:
    ratio: FloatArray = np.full(above.shape, otherwise)
    np.divide(above, below, out=ratio, where=below > 0.0)
    return ratio
