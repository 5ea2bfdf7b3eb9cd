"""The breaker of a destination that several lanes send to."""

from __future__ import annotations

from gateway.delivery.circuit_breaker import CircuitBreaker


def test_lanes_that_fail_together_count_once() -> None:
    now = [0.0]
    breaker = CircuitBreaker(failures=3, seconds=60, clock=lambda: now[0])
    pauses = []
    for _ in range(4):
        begun = breaker.now()
        now[0] += 0.5
        for _lane in range(4):
            breaker.failed(begun)
            now[0] += 0.001
        pauses.append(round(breaker.pause_seconds))
        now[0] += breaker.pause_seconds
    assert pauses == [1, 2, 4, 8]


def test_breaker_opens_once_and_an_answer_closes_it() -> None:
    breaker = CircuitBreaker(failures=2, seconds=60, clock=lambda: 1.0)
    assert [breaker.failed(1.0) for _ in range(3)] == [False, True, False]
    assert breaker.answered()
    assert breaker.pause_seconds == 0
