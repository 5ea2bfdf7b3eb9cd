from __future__ import annotations

import itertools

import pytest

from gateway.domain.job import CLAIMABLE, TRANSITIONS, JobAction, JobState, after


def test_only_waiting_jobs_can_be_claimed() -> None:
    assert {state for state, action in TRANSITIONS if action is JobAction.CLAIM} == set(CLAIMABLE)


@pytest.mark.parametrize(("state", "action"), [pair for pair in itertools.product(JobState, JobAction) if pair not in TRANSITIONS])
def test_transition_that_is_not_in_the_table_is_refused(state: JobState, action: JobAction) -> None:
    with pytest.raises(ValueError, match="knows no"):
        after(state, action)


def test_done_is_final() -> None:
    assert not [action for state, action in TRANSITIONS if state is JobState.DONE]
