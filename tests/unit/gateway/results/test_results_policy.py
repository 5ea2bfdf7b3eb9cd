"""What is withheld and why, and what a reader may see."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.finding import Laterality
from gateway.domain.outcome import Policy, Release
from gateway.results.plan import plan_of
from gateway.results.policy import release_for
from tests.conformance.cases import case, knee, report
from tests.conformance.sources import dx_header

NOW = datetime(2021, 3, 4, 12, tzinfo=UTC)
RIGHT, LEFT = knee("2.25.1000.1.1", score=80), knee("2.25.1000.1.1", score=10, side=Laterality.LEFT, position=2)


def release(
    policy: Policy,
    *knees: object,
    age_hours: float | None = 1,
    late: float = 24,
    not_assessed: bool = False,
    destination: bool = True,
    live: bool = True,
    repeats: bool = False,
    ingested: bool = False,
) -> Release:
    study_time = None if age_hours is None else NOW - timedelta(hours=age_hours)
    return release_for(
        policy,
        report(*knees),  # type: ignore[arg-type]
        study_time=study_time,
        now=NOW,
        late_after_hours=late,
        report_not_assessed=not_assessed,
        has_destination=destination,
        is_live=live,
        repeats=repeats,
        ingested=ingested,
    )


@pytest.mark.parametrize("policy", [Policy.ALL, Policy.POSITIVE_ONLY])
def test_flagged_result_is_sent(policy: Policy) -> None:
    assert release(policy, RIGHT, LEFT) is Release.SENT


def test_negative_result_is_sent_only_where_all_results_are() -> None:
    assert release(Policy.ALL, LEFT) is Release.SENT
    assert release(Policy.POSITIVE_ONLY, LEFT) is Release.WITHHELD_NOT_FLAGGED


def test_what_only_a_live_bundle_may_send_is_withheld_and_said_so() -> None:
    assert release(Policy.ALL, RIGHT, live=False) is Release.WITHHELD_NOT_LIVE
    assert release(Policy.ALL, RIGHT, live=False, destination=False) is Release.WITHHELD_NO_DESTINATION
    assert release(Policy.SHADOW, RIGHT, live=False) is Release.WITHHELD_SHADOW


@pytest.mark.parametrize("hours", [1, 100])
def test_shadow_comes_before_every_other_reason(hours: float) -> None:
    assert release(Policy.SHADOW, age_hours=hours) is Release.WITHHELD_SHADOW
    assert release(Policy.SHADOW, RIGHT, age_hours=hours) is Release.WITHHELD_SHADOW


def test_silent_is_withheld() -> None:
    assert release(Policy.SILENT, RIGHT) is Release.WITHHELD_SILENT


def test_nothing_assessed_is_sent_only_when_the_site_asks() -> None:
    assert release(Policy.ALL) is Release.WITHHELD_NOT_ASSESSED
    assert release(Policy.ALL, not_assessed=True) is Release.SENT


@pytest.mark.parametrize(
    ("age", "late", "expected"),
    [
        (25, 24, Release.WITHHELD_LATE),
        (24, 24, Release.SENT),
        (25, 0, Release.SENT),
        (None, 24, Release.SENT),
        (-3, 24, Release.SENT),
    ],
)
def test_late_results_are_withheld_when_the_study_time_is_known(age: float | None, late: float, expected: Release) -> None:
    assert release(Policy.ALL, RIGHT, age_hours=age, late=late) is expected


def test_result_without_a_destination_is_not_called_sent() -> None:
    assert release(Policy.ALL, RIGHT, destination=False) is Release.WITHHELD_NO_DESTINATION
    assert release(Policy.SHADOW, RIGHT, destination=False) is Release.WITHHELD_SHADOW


def test_repeat_is_withheld_before_it_is_late() -> None:
    assert release(Policy.ALL, RIGHT, repeats=True, age_hours=100) is Release.WITHHELD_REPEAT
    assert release(Policy.POSITIVE_ONLY, LEFT, repeats=True) is Release.WITHHELD_NOT_FLAGGED


def test_ingested_result_is_withheld_unless_the_policy_withholds_it_anyway() -> None:
    assert release(Policy.ALL, RIGHT, ingested=True) is Release.WITHHELD_INGESTED
    assert release(Policy.ALL, RIGHT, ingested=True, age_hours=100) is Release.WITHHELD_INGESTED
    assert release(Policy.SHADOW, RIGHT, ingested=True) is Release.WITHHELD_SHADOW
    assert release(Policy.SILENT, RIGHT, ingested=True) is Release.WITHHELD_SILENT
    assert release(Policy.POSITIVE_ONLY, LEFT, ingested=True) is Release.WITHHELD_NOT_FLAGGED


def test_report_of_a_flagged_knee_alone_says_nothing_of_another() -> None:
    one = case("positive", [dx_header()], report(RIGHT))
    summary = plan_of(one.report, one.sources, one.settings).summary
    assert "Right knee" in summary
    assert "Left" not in summary
    assert "Not assessed" not in summary
