"""The last gate, row by row."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from gateway.domain.last_gate import Outgoing, obstacle_to
from gateway.domain.outcome import Policy, Release

GOOD = Outgoing(
    release=Release.SENT,
    made_under=Policy.ALL,
    flagged=True,
    policy_today=Policy.ALL,
    destination="pacs",
    destinations_today=("pacs",),
    destinations_above=(),
    destinations_for_live=frozenset({"pacs"}),
    is_live=True,
)


def test_released_result_goes_to_its_routes_destination() -> None:
    assert obstacle_to(GOOD) is None
    assert obstacle_to(replace(GOOD, made_under=Policy.POSITIVE_ONLY)) is None
    assert obstacle_to(replace(GOOD, is_live=False, destinations_for_live=frozenset({"other"}))) is None


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"policy_today": Policy.SHADOW}, "policy_withdrawn"),
        ({"policy_today": Policy.POSITIVE_ONLY}, "policy_withdrawn"),
        ({"destinations_today": ("other",)}, "destination_withdrawn"),
        ({"destinations_above": ("pacs",)}, "destination_class"),
        ({"is_live": False}, "bundle_not_live"),
        ({"made_under": Policy.POSITIVE_ONLY, "flagged": False}, "policy_forbids"),
    ],
)
def test_what_todays_configuration_does_not_allow_stays(changed: dict[str, object], code: str) -> None:
    assert obstacle_to(replace(GOOD, **changed)) == code  # type: ignore[arg-type]


@pytest.mark.parametrize("release", [release for release in Release if release is not Release.SENT])
def test_withheld_result_stays_whatever_else_holds(release: Release) -> None:
    assert obstacle_to(replace(GOOD, release=release)) == "not_released"


@pytest.mark.parametrize(("made_under", "today", "flagged"), [*product((Policy.SHADOW, Policy.SILENT), Policy, (True, False))])
def test_result_of_a_shadow_or_silent_route_stays_also_when_it_is_marked_as_released(
    made_under: Policy, today: Policy, flagged: bool
) -> None:
    assert obstacle_to(replace(GOOD, made_under=made_under, policy_today=today, flagged=flagged)) == "policy_forbids"
