from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.config import ReceiverSettings
from gateway.receive.limits import Connections, Cut, Limits


def connections(*, total: int, each: int) -> Connections:
    settings = ReceiverSettings(max_connections=total, max_connections_per_address=each, max_associations=1)
    return Connections(Limits.of(settings))


def test_place_is_given_back_once() -> None:
    open_ones = connections(total=3, each=1)
    first = open_ones.admit("192.0.2.1")
    assert open_ones.admit("192.0.2.1") is Cut.ADDRESS_LIMIT
    second = open_ones.admit("192.0.2.2")
    assert callable(first)
    assert callable(second)
    first()
    first()
    assert open_ones.count() == 1
    assert callable(open_ones.admit("192.0.2.1"))


def test_total_is_told_before_the_address() -> None:
    open_ones = connections(total=1, each=1)
    open_ones.admit("192.0.2.1")
    assert open_ones.admit("192.0.2.1") is Cut.CONNECTION_LIMIT
    assert open_ones.admit("192.0.2.2") is Cut.CONNECTION_LIMIT


@pytest.mark.parametrize("wrong", [{"memory_mb": 100, "max_message_mb": 64}, {"max_connections": 5}, {"max_pdu_kb": 2048}])
def test_limits_that_contradict_each_other_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        ReceiverSettings(**wrong)  # type: ignore[arg-type]
