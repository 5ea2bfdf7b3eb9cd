from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.config import ReceiverSettings


@pytest.mark.parametrize(
    "wrong", [{"memory_mb": 100, "max_message_mb": 64}, {"max_connections": 5}, {"processes": 3}, {"max_pdu_kb": 2048}]
)
def test_limits_that_contradict_each_other_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        ReceiverSettings(**wrong)  # type: ignore[arg-type]
