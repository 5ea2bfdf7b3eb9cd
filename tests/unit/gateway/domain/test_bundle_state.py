"""Whose results may leave, as a table."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.domain.bundle_state import BundleStanding, BundleState, Leave, leave_of

LIVE, SHADOW, FORMER, RETIRED = BundleState.LIVE, BundleState.SHADOW, BundleState.FORMER, BundleState.RETIRED
OTHER = "c" * 64


def at(hour: int | None) -> datetime | None:
    return None if hour is None else datetime(2026, 1, 1, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "since", "until", "begun", "ended", "leave"),
    [
        (SHADOW, None, None, 5, 6, Leave.WITHHELD),
        (RETIRED, None, None, 5, 6, Leave.WITHHELD),
        (LIVE, 4, None, 5, 6, Leave.GRANTED),
        (LIVE, 4, None, 3, 4, Leave.GRANTED),  # begun in shadow, decided when it was live
        (LIVE, 4, None, 2, 3, Leave.WITHHELD),  # seen in shadow
        (LIVE, 4, None, None, None, Leave.GRANTED),  # nothing was assessed, and that is said
        (FORMER, 4, 8, 7, 9, Leave.GRANTED),  # begun before another one was promoted
        (FORMER, 4, 8, 8, 9, Leave.WITHHELD),
        (FORMER, 4, 8, 3, 3, Leave.WITHHELD),
        (FORMER, 4, 8, None, None, Leave.GRANTED),
    ],
)
def test_leave(state: BundleState, since: int | None, until: int | None, begun: int | None, ended: int | None, leave: Leave) -> None:
    standing = BundleStanding(
        state=state, live_since=at(since), live_until=at(until), live_hash=OTHER, first_ended=at(ended), last_begun=at(begun)
    )
    assert leave_of(standing, others_here=frozenset()) is leave


@pytest.mark.parametrize(("here", "leave"), [({OTHER}, Leave.LATER), ({"d" * 64}, Leave.WITHHELD)])
@pytest.mark.parametrize(("state", "since", "until"), [(SHADOW, None, None), (FORMER, 4, 8)])
def test_study_waits_only_for_a_live_bundle_that_this_worker_can_be_started_with(
    here: set[str], leave: Leave, state: BundleState, since: int | None, until: int | None
) -> None:
    standing = BundleStanding(state=state, live_since=at(since), live_until=at(until), live_hash=OTHER, first_ended=at(9), last_begun=at(9))
    assert leave_of(standing, others_here=frozenset(here)) is leave
