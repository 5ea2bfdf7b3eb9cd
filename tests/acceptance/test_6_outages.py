"""A PACS that is stopped, started, killed, and refuses for a while has each result once in the end, and has committed to all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.outages.show import SHORT, show
from tests.peers import dcmtk


@pytest.mark.long
def test_results_reach_a_pacs_that_comes_and_goes_once_each_and_are_all_committed(demonstration_bundle: Path) -> None:
    dcmtk.need()
    outcome = show(SHORT, demonstration_bundle)
    assert outcome.is_good(SHORT), outcome
