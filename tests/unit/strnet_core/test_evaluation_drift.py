"""Limits that know n: quiet when nothing drifts, loud when something does."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from strnet_core.evaluation.drift import (
    alarms,
    categories_p,
    expected_index,
    index_limit,
    is_persistent,
    numbers_p,
    population_stability_index,
    rate_limits,
    rate_p,
)


def test_the_index_of_equal_shares_is_0_and_by_hand_otherwise():
    assert population_stability_index(np.array([500, 500]), np.array([50, 50])) == pytest.approx(0.0, abs=1e-9)
    found = population_stability_index(np.array([5000, 5000]), np.array([8000, 2000]))
    assert found == pytest.approx(0.3 * np.log(1.6) - 0.3 * np.log(0.4), rel=1e-3)
    with pytest.raises(ValueError, match="same bins"):
        population_stability_index(np.array([1, 2]), np.array([1, 2, 3]))


def test_without_drift_a_hundred_cases_exceed_the_rule_of_thumb_half_of_the_time_and_our_limit_rarely():
    random, shares = np.random.default_rng(3), np.full(10, 0.1)
    assert expected_index(10, 100, 1000) == pytest.approx(0.099)
    limit = index_limit(np.full(10, 100), 100, false_alarms=0.05)
    assert 0.17 < limit < 0.24
    pairs = [(random.multinomial(1000, shares), random.multinomial(100, shares)) for _ in range(600)]
    found = np.array([population_stability_index(reference, week) for reference, week in pairs])
    assert 0.35 < (found > 0.1).mean() < 0.6
    assert (found > limit).mean() < 0.08


def test_rate_limits_are_near_those_of_three_deviations_and_narrow_with_n():
    for n, half in ((50, 0.21), (100, 0.15), (200, 0.11)):
        low, high = rate_limits(50_000, 100_000, n)
        assert (0.5 - low / n, high / n - 0.5) == pytest.approx((half, half), abs=0.015)
    # a reference of 30 cases knows less
    assert rate_limits(15, 30, 100)[0] < rate_limits(500, 1000, 100)[0]


def test_a_rate_far_out_is_improbable():
    assert rate_p(500, 1000, 51, 100) > 0.5
    assert rate_p(500, 1000, 90, 100) < 1e-6
    assert rate_p(500_000, 1_000_000, 60, 100) == pytest.approx(2 * binom(100, 0.5).sf(59), rel=0.01)


def test_a_changed_tone_curve_is_caught_in_two_weeks_and_a_stationary_year_is_quiet():
    random = np.random.default_rng(12)
    reference = random.normal(0.0, 1.0, 1000)

    def week(shift):
        scores = random.normal(shift, 1.0, 50)
        p = {
            "scores": numbers_p(reference, scores),
            "flagged": rate_p(int((reference > 0).sum()), 1000, int((scores > 0).sum()), 50),
            "sex": categories_p({"F": 600, "M": 400}, dict(zip(("F", "M"), map(int, random.multinomial(50, (0.6, 0.4))), strict=True))),
        }
        return bool(alarms(p, 0.01))

    quiet = [week(0.0) for _ in range(52)]
    assert not any(is_persistent(quiet[: end + 1]) for end in range(52))
    assert is_persistent([*quiet, week(0.9), week(0.9)])


def test_alarms_correct_for_the_number_of_streams():
    assert alarms({"a": 0.03}) == ("a",)
    assert alarms({"a": 0.03, **{f"s{number}": 0.5 for number in range(19)}}) == ()
    assert alarms({}) == ()


def test_one_odd_week_is_no_drift():
    assert not is_persistent([False, True])
    assert is_persistent([False, True, True])
    assert not is_persistent([])


def test_one_category_alone_cannot_drift():
    assert categories_p({"DX": 10}, {"DX": 3}) == 1.0
    assert categories_p({"DX": 90, "CR": 10}, {"DX": 10, "CR": 90}) < 1e-6
