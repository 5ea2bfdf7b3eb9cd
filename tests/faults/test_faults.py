"""The fast faults as ordinary tests, and the table that all of them make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.catalogue import FAULTS
from tests.faults.fault import Fault, Observation, Point
from tests.faults.needs import missing
from tests.faults.running import observe
from tests.faults.table import PAGE, page, updated
from tests.faults.workplace import Workplace

FAST = [fault for fault in FAULTS if fault.in_ci]


@pytest.mark.parametrize("fault", FAST, ids=lambda fault: fault.what)
def test_fault_is_as_expected(fault: Fault, demonstration_bundle: Path) -> None:
    absent = missing(fault.needs)
    if absent:
        pytest.skip(f"{', '.join(absent)} missing (make test PEERS=install)")
    observation = observe(fault, demonstration_bundle)
    assert observation.as_expected, observation.words
    # a rerun writes the same page
    assert f"| {observation.words} |" in PAGE.read_text(encoding="utf-8")


def made_up(*points: Point, needs: tuple[str, ...] = (), error: Exception | None = None) -> Fault:
    def scenario(_: Workplace) -> Iterator[Point]:
        yield from points
        if error is not None:
            raise error

    return Fault(number=1, what="a fault", expected="nothing", how="by hand", scenario=scenario, needs=needs)


@pytest.mark.parametrize(
    ("fault", "as_expected", "words"),
    [
        (made_up(Point("answer", "0000", "0000"), Point("files", [], [])), True, "answer: 0000; files: none"),
        (made_up(Point("answer", "A700", "0000")), False, "**answer: A700, not 0000**"),
        (made_up(), False, ""),
        (made_up(Point("kept", True, True), error=OSError("gone")), False, "kept: yes; **OSError**"),
        (made_up(Point("kept", True, True), needs=("a-program-that-nobody-has",)), False, "**not run: a-program-that-nobody-has missing**"),
    ],
)
def test_observation_tells_what_was_seen_and_whether_it_was_expected(fault: Fault, as_expected: bool, words: str, tmp_path: Path) -> None:
    observation = observe(fault, tmp_path)
    assert (observation.as_expected, observation.words) == (as_expected, words)


def test_fault_that_takes_too_long_is_ended_and_not_as_expected(tmp_path: Path) -> None:
    def scenario(_: Workplace) -> Iterator[Point]:
        yield Point("begun", True, True)
        while True:
            pass

    fault = Fault(number=1, what="a fault", expected="nothing", how="by hand", scenario=scenario, seconds=0.1)
    assert observe(fault, tmp_path).words == "begun: yes; **not over after 0.1 s**"


def test_page_counts_what_is_as_expected() -> None:
    fault = made_up()
    seen = (Observation(fault, (Point("answer", 1, 1),)), Observation(fault, (Point("answer", 1, 2),)))
    assert page(seen).endswith("| 1 | a fault | by hand | nothing | **answer: 1, not 2** |\n\n1 of 2 as expected.\n")


def test_run_of_some_faults_leaves_the_rows_of_the_others() -> None:
    others = [Observation(replace(made_up(), number=number), (Point("answer", 1, 1),)) for number in (2, 11)]
    before = page([Observation(made_up(), (Point("answer", 1, 2),)), *others])
    after = updated(before, [Observation(replace(made_up(), number=number), (Point("answer", 3, 3),)) for number in (1, 5)])
    assert [line for line in after.splitlines() if line not in before.splitlines()] == [
        "| 1 | a fault | by hand | nothing | answer: 3 |",
        "| 5 | a fault | by hand | nothing | answer: 3 |",
        "4 of 4 as expected.",
    ]
    assert [line.split()[1] for line in after.splitlines() if line.startswith("| ") and line[2].isdigit()] == ["1", "2", "5", "11"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.number))
def test_page_in_the_documentation_is_of_these_faults(fault: Fault) -> None:
    assert f"| {fault.number} | {fault.what} | {fault.how} | {fault.expected} |" in PAGE.read_text(encoding="utf-8")
