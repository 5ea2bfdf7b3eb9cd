"""The checker finds each defect that is planted into the facts of a good soak, and nothing in the good one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.soak.checker import Findings, check
from tests.soak.facts import Built, Chain, Facts, Held, Kept, Told

A, B, STUDY = "1.1", "1.2", "1.9"
JOB = Chain(
    "job",
    "job 1",
    (
        ("job:queued", ""),
        ("job:claimed", ""),
        ("job:lease_expired", ""),
        ("job:claimed", ""),
        ("job:retry", "failed_timeout"),
        ("job:claimed", ""),
        ("job:postponed", ""),
        ("job:claimed", ""),
        ("job:done", "assessed"),
    ),
    "done",
)
INSTANCE = Chain(
    "instance", "instance a", (("instance:adopted", ""), ("instance:received_again", ""), ("instance:assessed", "")), "assessed"
)
DELIVERY = Chain("delivery", "delivery 1", (("delivery:queued", ""), ("delivery:retry", "no_answer"), ("delivery:sent", "")), "sent")
FIRST, REVISION = Held("2.1", STUDY, "SR", frozenset({A})), Held("2.2", STUDY, "SR", frozenset({A, B}))
PAGES = tuple(Held(f"3.{number}", STUDY, "OT") for number in range(5))
GOOD = Facts(
    told=(Told(A, STUDY, "da"), Told(B, STUDY, "db")),
    kept=(Kept(A, "da"), Kept(B, "db"), Kept("1.3", "never acknowledged", receipts=0)),
    chains=(JOB, INSTANCE, DELIVERY),
    built=(
        Built("2.1", STUDY, "sr", "first"),
        Built("3.0", STUDY, "sc_report_page", "first"),
        Built("3.1", STUDY, "sc_overlay_1", "first"),
        Built("2.2", STUDY, "sr", "second"),
        Built("3.2", STUDY, "sc_report_page", "second"),
        Built("3.3", STUDY, "sc_overlay_1", "second"),
        Built("3.4", STUDY, "sc_overlay_2", "second"),
    ),
    held=(FIRST, REVISION, *PAGES),
)
"""Two images of a study; the first had been reported before the second came, so that there is a revision."""


def found(facts: Facts) -> dict[str, int]:
    return {name: count for name, count in check(facts).counts.items() if count}


def test_good_soak_has_no_findings() -> None:
    assert check(GOOD).texts == ()


@pytest.mark.parametrize(
    "kept",
    [
        (Kept(B, "db"),),
        (Kept(A, "other bytes than were sent"), Kept(B, "db")),
        (Kept(A, "da", file="absent"), Kept(B, "db")),
        (Kept(A, "da", file="other bytes"), Kept(B, "db")),
        (Kept(A, "da", receipts=0), Kept(B, "db")),
    ],
)
def test_acknowledged_instance_without_row_file_or_receipt_is_lost(kept: tuple[Kept, ...]) -> None:
    assert found(replace(GOOD, kept=kept)) == {"lost": 1}


def test_study_without_a_report_over_all_its_images_misses_a_result() -> None:
    """The revision, its three pages and its rows were never made."""
    facts = replace(GOOD, built=GOOD.built[:3], held=(FIRST, *PAGES[:2]))
    assert found(facts) == {"missing_results": 1}


def test_study_that_nobody_reported_misses_a_result() -> None:
    assert found(replace(GOOD, built=(), held=())) == {"missing_results": 1}


def test_released_result_that_the_pacs_does_not_have_is_missing() -> None:
    findings = check(replace(GOOD, held=(FIRST, REVISION, *PAGES[:4])))
    # the row without its object, and the report without its page: the second is seen without our database
    assert [text.split(":")[0] for text in findings.missing_results] == ["sc_overlay_2 3.4", f"study {STUDY}"]
    assert findings.texts[2:] == ()


def test_page_that_neither_rows_nor_pacs_have_is_missing() -> None:
    assert found(replace(GOOD, built=GOOD.built[:6], held=(FIRST, REVISION, *PAGES[:4]))) == {"missing_results": 1}


@pytest.mark.parametrize(
    ("facts", "times"),
    [
        # a second report over the same image with its pages, under UIDs of its own, which the database knows
        (
            replace(
                GOOD,
                held=(*GOOD.held, replace(FIRST, sop_uid="2.3"), Held("3.5", STUDY, "OT"), Held("3.6", STUDY, "OT")),
                built=(*GOOD.built, Built("2.3", STUDY, "sr", "x"), Built("3.5", STUDY, "a", "x"), Built("3.6", STUDY, "b", "x")),
            ),
            1,
        ),
        # the same object twice in the PACS, for it stands there under two patients or studies
        (replace(GOOD, held=(*GOOD.held, FIRST)), 1),
        # a page that no report has
        (replace(GOOD, held=(*GOOD.held, Held("3.9", STUDY, "OT")), built=(*GOOD.built, Built("3.9", STUDY, "c", "first"))), 1),
        # an object whose row is gone
        (replace(GOOD, built=GOOD.built[1:]), 1),
        # two rows for one thing; the PACS has one
        (replace(GOOD, built=(*GOOD.built, GOOD.built[0])), 1),
    ],
)
def test_result_that_is_there_twice_is_found(facts: Facts, times: int) -> None:
    assert check(facts).counts["duplicate_results"] >= times


@pytest.mark.parametrize(
    "chain",
    [
        replace(JOB, events=(*JOB.events, ("job:claimed", ""))),
        replace(JOB, events=JOB.events[1:]),
        replace(JOB, events=(*JOB.events[:2], *JOB.events[3:])),
        replace(JOB, events=(), state="done"),
        replace(JOB, events=JOB.events[:-1]),
        replace(JOB, state="without a row"),
        replace(JOB, events=(("instance:assessed", ""),)),
        replace(INSTANCE, events=(*INSTANCE.events, ("instance:assessed", ""))),
        replace(INSTANCE, events=(("instance:received_again", ""), ("instance:stored", ""), ("instance:assessed", ""))),
        replace(DELIVERY, events=(*DELIVERY.events, ("delivery:sent", ""))),
        replace(DELIVERY, events=DELIVERY.events[1:]),
    ],
    ids=lambda chain: " ".join(event for event, _ in chain.events),
)
def test_chain_that_leaves_its_table_is_illegal(chain: Chain) -> None:
    assert check(replace(GOOD, chains=(chain,))).counts["illegal_transitions"] == 1


@pytest.mark.parametrize(
    "chain",
    [
        Chain("job", "job 2", JOB.events[:2], "running"),
        Chain("job", "job 3", (*JOB.events[:2], ("job:dead", "failed_internal")), "dead"),
        Chain("instance", "instance b", INSTANCE.events[:1], "stored"),
        Chain("delivery", "delivery 2", DELIVERY.events[:2], "pending"),
    ],
)
def test_what_has_not_ended_well_is_unfinished(chain: Chain) -> None:
    assert found(replace(GOOD, chains=(chain,))) == {"unfinished": 1}


def test_open_ledger_and_a_gateway_that_ended_are_findings() -> None:
    assert found(replace(GOOD, unclosed=("knees",), ended_by_itself=(74,))) == {"unclosed_ledgers": 1, "ended_by_itself": 1}


def test_findings_are_counted_under_the_names_of_the_last_line() -> None:
    assert {"lost", "missing_results", "duplicate_results", "illegal_transitions"} <= set(Findings.__dataclass_fields__)
