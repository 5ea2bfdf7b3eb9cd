from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.job import TRANSITIONS, JobAction, JobState
from gateway.errors import (
    DatabaseUnavailableError,
    DecodeError,
    DecodeTimeoutError,
    GatewayError,
    OpenConflictError,
    PatientConflictError,
    SpoolError,
)
from gateway.workers.retry import AFTER_FAILURE, Backoff, Nature, RetryPolicy, decide

BACKOFF = Backoff(first_seconds=5, max_seconds=600)
POLICY = RetryPolicy(max_attempts=5, backoff=BACKOFF)


@given(st.integers(1, 1000), st.floats(0, 1))
def test_delay_stays_between_half_and_whole_of_the_doubled_time(attempts: int, jitter: float) -> None:
    full = min(600, 5 * 2 ** min(attempts - 1, 30))
    assert full / 2 <= BACKOFF.delay(attempts, jitter) <= full


@pytest.mark.parametrize(
    ("error", "failures", "action"),
    [
        (SpoolError(), 99, JobAction.FAIL),
        (DatabaseUnavailableError(), 99, JobAction.FAIL),
        (DecodeTimeoutError(), 1, JobAction.FAIL),
        (DecodeTimeoutError(), 4, JobAction.FAIL),
        (DecodeTimeoutError(), 5, JobAction.GIVE_UP),
        (DecodeError(), 1, JobAction.GIVE_UP),
        (PatientConflictError(), 1, JobAction.HOLD),
        (OpenConflictError(), 99, JobAction.HOLD),
    ],
)
def test_error_decides_what_becomes_of_its_job(error: GatewayError, failures: int, action: JobAction) -> None:
    decision = decide(error, failures=failures, policy=POLICY, random=lambda: 0.5)
    assert (decision.action, decision.delay_seconds > 0) == (action, action is JobAction.FAIL)


def test_table_has_an_answer_for_every_nature_and_each_is_a_transition_of_a_running_job() -> None:
    assert set(AFTER_FAILURE) == set(itertools.product(Nature, (True, False)))
    assert all((JobState.RUNNING, action) in TRANSITIONS for action in AFTER_FAILURE.values())
