"""Whether a week of a device is like its reference, with limits that know how many cases each of them has.

The usual rule of thumb (a population stability index above 0.1 is drift) alarms on nothing at a hospital's volumes: without any
drift, half of all windows of 100 cases exceed it. All functions are pure; who asks how often must correct for it (`alarms`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
_SIMULATIONS = 4000
_HALF = 0.5
"""Added to every bin, so that an empty one has a logarithm."""


def population_stability_index(reference: Counts, current: Counts) -> float:
    """Of two histograms (bins,) over the same bins; 0 for equal shares. Raises ValueError for other shapes or an empty histogram."""
    if reference.shape != current.shape or reference.ndim != 1 or not reference.sum() or not current.sum():
        raise ValueError("two histograms over the same bins, neither empty")
    return float(_index(reference[None, :], current[None, :])[0])


def expected_index(bins: int, n: int, m: int) -> float:
    """Its mean without any drift, about: (bins - 1) (1/n + 1/m) for n current and m reference cases."""
    return (bins - 1) * (1.0 / n + 1.0 / m)


def index_limit(reference: Counts, n: int, false_alarms: float = 0.01, seed: int = 42) -> float:
    """What the index exceeds with this probability where n cases come from the reference's own distribution. Simulated.

    Both histograms are drawn, since the reference is itself a sample.
    """
    m, shares = int(reference.sum()), (reference + _HALF) / (reference + _HALF).sum()
    generator = np.random.default_rng(seed)
    drawn = _index(generator.multinomial(m, shares, _SIMULATIONS), generator.multinomial(n, shares, _SIMULATIONS))
    return float(np.quantile(drawn, 1.0 - false_alarms))


def rate_limits(k: int, m: int, n: int, false_alarms: float = 0.0027) -> tuple[int, int]:
    """Smallest and largest count among n that is no alarm, where the reference has k of m: a p chart for small numbers.

    From the beta-binomial distribution that follows from the reference (Jeffreys), half of `false_alarms` on either side; the
    default is that of three standard deviations.
    """
    from scipy.stats import betabinom

    predicted = betabinom(n, k + _HALF, m - k + _HALF)
    return int(predicted.ppf(false_alarms / 2.0)), int(predicted.ppf(1.0 - false_alarms / 2.0))


def rate_p(k: int, m: int, found: int, n: int) -> float:
    """Two-sided probability of a count at least as far out as `found` of n, where the reference has k of m."""
    from scipy.stats import betabinom

    predicted = betabinom(n, k + _HALF, m - k + _HALF)
    return float(min(1.0, 2.0 * min(predicted.cdf(found), predicted.sf(found - 1))))


def numbers_p(reference: FloatArray, current: FloatArray) -> float:
    """Of scores, exposures, ages ...: two-sample Kolmogorov-Smirnov."""
    from scipy.stats import ks_2samp

    return float(ks_2samp(reference, current).pvalue)


def categories_p(reference: Mapping[str, int], current: Mapping[str, int]) -> float:
    """Of sexes, views, models ...: chi-square over the names of both; 1 where there is but one name."""
    from scipy.stats import chi2_contingency

    names = sorted({name for counts in (reference, current) for name, count in counts.items() if count})
    if len(names) < 2:  # noqa: PLR2004
        return 1.0
    table = [[counts.get(name, 0) for name in names] for counts in (reference, current)]
    return float(chi2_contingency(table, correction=False).pvalue)


def alarms(p: Mapping[str, float], false_discoveries: float = 0.05) -> tuple[str, ...]:
    """The streams that alarm, by Benjamini and Hochberg: of those, at most this share is false on average."""
    from scipy.stats import false_discovery_control

    if not p:
        return ()
    adjusted = false_discovery_control(list(p.values()))
    return tuple(name for name, value in zip(p, adjusted, strict=True) if value <= false_discoveries)


def is_persistent(weeks: Sequence[bool], needed: int = 2) -> bool:
    """Whether the last `needed` weeks all alarmed: one odd week is no drift."""
    return len(weeks) >= needed > 0 and all(weeks[-needed:])


def _index(reference: Counts, current: Counts) -> FloatArray:
    """(r,) of (r, bins) and (r, bins)."""
    expected, found = reference + _HALF, current + _HALF
    expected, found = expected / expected.sum(axis=1, keepdims=True), found / found.sum(axis=1, keepdims=True)
    return np.asarray(((found - expected) * np.log(found / expected)).sum(axis=1), np.float64)
