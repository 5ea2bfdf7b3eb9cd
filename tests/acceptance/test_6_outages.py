"""A PACS that is stopped, started, killed, and refuses for a while has each result once in the end, and has committed to all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.outages.show import FIFTY, SHORT, Outcome, show
from tests.peers import dcmtk


@pytest.mark.long
def test_results_reach_a_pacs_that_comes_and_goes_once_each_and_are_all_committed(demonstration_bundle: Path) -> None:
    dcmtk.need()
    outcome = show(SHORT, demonstration_bundle)
    assert outcome.is_good(SHORT), outcome


_GOOD = Outcome(results=50, held_once=50, doubled=0, missing=0, unknown=0, committed=50, refused_meanwhile=12, seconds=1)


def test_show_is_of_fifty_results() -> None:
    assert FIFTY.results == 50
    assert _GOOD.is_good(FIFTY)


@pytest.mark.parametrize(
    "changes",
    [
        {"results": 49, "held_once": 49, "committed": 49},
        {"held_once": 49, "missing": 1},
        {"held_once": 49, "doubled": 1},
        {"unknown": 1},
        {"committed": 49},
        {"refused_meanwhile": 0},
    ],
)
def test_show_in_which_something_is_lost_twice_unknown_uncommitted_or_never_refused_is_not_good(changes: dict[str, Any]) -> None:
    assert not replace(_GOOD, **changes).is_good(FIFTY)
