"""Receivers with the same peers count together, also after a configuration was taken back."""

from __future__ import annotations

from gateway.app.shared_counts import CountRows
from gateway.config import PeerSettings, parse_settings
from gateway.receive.counts import Counts


def peers(name: str) -> tuple[PeerSettings, ...]:
    return parse_settings({"serve": {"development": True}, "peers": [{"name": name, "ae_title": name.upper()}]}).peers


def test_receiver_that_starts_again_after_a_refused_configuration_counts_with_the_others() -> None:
    rows = CountRows(2)
    first, second = rows.take(peers("a")), rows.take(peers("a"))
    rows.give_back(rows.take(peers("b")))
    rows.give_back(first)
    again = rows.take(peers("a"))
    assert again.table is second.table
    assert again.row != second.row
    taken = [Counts(one.table, one.row).take_association(1) for one in (again, second)]
    assert taken == [True, False]


def test_receivers_with_other_peers_are_limited_apart() -> None:
    rows = CountRows(2)
    before, after = rows.take(peers("a")), rows.take(peers("b"))
    assert before.table is not after.table
    assert rows.take(peers("a")).table is before.table


def test_table_in_which_nobody_counts_goes() -> None:
    rows = CountRows(1)
    counts = rows.take(peers("a"))
    rows.give_back(counts)
    assert rows.take(peers("a")).table is not counts.table
