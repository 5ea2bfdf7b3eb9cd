from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import DecodeError, DecodeTimeoutError, GatewayError, SpoolError
from gateway.workers.retry import Backoff, retry_in

BACKOFF = Backoff(first_seconds=5, max_seconds=600)


@given(st.integers(1, 1000), st.floats(0, 1))
def test_delay_stays_between_half_and_whole_of_the_doubled_time(attempts: int, jitter: float) -> None:
    full = min(600, 5 * 2 ** min(attempts - 1, 30))
    assert full / 2 <= BACKOFF.delay(attempts, jitter) <= full


@pytest.mark.parametrize(
    ("error", "failures", "again"),
    [
        (SpoolError(), 99, True),
        (DecodeTimeoutError(), 1, True),
        (DecodeTimeoutError(), 4, True),
        (DecodeTimeoutError(), 5, False),
        (DecodeError(), 1, False),
    ],
)
def test_only_passing_trouble_is_tried_again_and_not_for_ever(error: GatewayError, failures: int, again: bool) -> None:
    assert (retry_in(error, failures=failures, max_attempts=5, backoff=BACKOFF, random=lambda: 0.5) is not None) is again
