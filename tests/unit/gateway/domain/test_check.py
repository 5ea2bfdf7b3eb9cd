"""The words of `strnet-gateway check`: every code has a remedy, and the way a peer fails leads to the right one."""

from __future__ import annotations

import string

import pytest

from gateway.domain.check import Standing, bad, code_of_failure, note
from gateway.domain.remedies import REMEDIES, Side

FACTS = {
    "table", "host", "port", "ae_title", "calling_ae_title", "class_name", "class_uid", "syntax", "detail", "tls_name", "config", "own_port",
}  # fmt: skip


@pytest.mark.parametrize("code", list(REMEDIES))
def test_remedy_names_only_facts_that_are_given(code: str) -> None:
    assert {name for _, name, _, _ in string.Formatter().parse(REMEDIES[code].change) if name} <= FACTS


@pytest.mark.parametrize(
    ("code", "detail", "found", "side"),
    [
        ("no_association", "ConnectionRefusedError", "connection_refused", Side.DESTINATION),
        ("no_association", "no address", "name_unknown", Side.GATEWAY),
        ("no_association", "TimeoutError", "connect_timeout", Side.NETWORK),
        ("no_association", "OSError", "unreachable", Side.NETWORK),
        ("association_rejected_permanent", "called_ae_title_unknown", "called_ae_title_unknown", Side.GATEWAY),
        ("association_rejected_permanent", "calling_ae_title_unknown", "calling_ae_title_unknown", Side.DESTINATION),
        ("association_rejected_permanent", "no_reason_given", "rejected_permanently", Side.DESTINATION),
        ("association_rejected_transient", "congestion", "rejected_for_now", Side.DESTINATION),
        ("no_response", "", "no_response", Side.DESTINATION),
        ("association_lost", "aborted", "association_lost", Side.DESTINATION),
    ],
)
def test_failure_says_which_side_is_wrong(code: str, detail: str, found: str, side: Side) -> None:
    line = bad("pacs", "association", code_of_failure(code, detail), detail=detail)
    assert (line.code, line.side, line.standing) == (found, side, Standing.BAD)
    assert line.remedy


def test_note_blames_nobody_and_an_unknown_fact_shows_as_one() -> None:
    line = note("pacs", "round trip", "shadow")
    assert line.side is Side.NOBODY
    assert "(?)" in line.remedy
