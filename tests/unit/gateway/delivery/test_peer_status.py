from __future__ import annotations

import pytest

from gateway.delivery.peer_status import verdict_for
from gateway.domain.delivery import Verdict


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (0x0000, Verdict.SENT),
        (0x0111, Verdict.SENT),
        (0xB000, Verdict.SENT),
        (0xB007, Verdict.SENT),
        (0xA700, Verdict.RETRY),
        (0xA7FF, Verdict.RETRY),
        (0x0110, Verdict.RETRY),
        (0x1234, Verdict.RETRY),
        (0x0122, Verdict.DEAD),
        (0xA900, Verdict.DEAD),
        (0xC000, Verdict.DEAD),
        (0xC211, Verdict.DEAD),
    ],
)
def test_status_means_what_the_table_says(status: int, verdict: Verdict) -> None:
    assert verdict_for(status)[0] is verdict
