"""Headers of any hospital on the whole road, and what validators and readers say of the results. Every pair of values: make test-long."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from gateway.store import schema
from gateway.store.database import Database
from tests.headers.reading import disagreements
from tests.headers.road import Journey, journeys
from tests.headers.rows import RESULTS, each_value_once, sample

from .validators import consistent, missing, reason_of, validate

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


@pytest.fixture(
    scope="module",
    params=[pytest.param(each_value_once, id="every value"), pytest.param(sample, id="every pair of values", marks=pytest.mark.long)],
)
def travelled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Journey]:
    from pydicom import config as pydicom_config

    with pytest.MonkeyPatch.context() as patch:
        # `set_tolerant_reading`, for these tests
        patch.setattr(pydicom_config.settings, "_reading_validation_mode", pydicom_config.IGNORE)
        folder = tmp_path_factory.mktemp("headers")
        with closing(Database(f"sqlite:///{folder / 'store.db'}")) as database:
            schema.ensure(database)
            return list(journeys(request.param(), folder, database))


def test_every_header_ends_in_a_result_and_every_wish_is_met(travelled: list[Journey]) -> None:
    outcomes = Counter(journey.outcome.partition("_")[0] for journey in travelled)
    assert set(outcomes) == {"assessed", "ineligible", "quality"}
    for journey in travelled:
        assert {"sr", "sc_report_page"} <= set(journey.files)
        shown = {"sc_overlay_1", "direct-sc_overlay_1"} & set(journey.files)
        assert bool(shown) == (journey.row["result"] != "not assessed")


def test_results_decode_to_what_the_source_says(travelled: list[Journey]) -> None:
    wrong = {
        (file.name, problem)
        for journey in travelled
        for file in journey.files.values()
        for problem in disagreements(journey.row, file.read_bytes())
    }
    assert wrong == set()


def unlike_reports(travelled: list[Journey]) -> list[Path]:
    """Reports that hold every value of what shapes a content tree. `python -m tests.conformance` takes all shapes."""
    met: set[tuple[str, str]] = set()
    found = []
    for journey in travelled:
        measured = journey.row["orientation"] == journey.row["spacing"] == "given"
        shaping = {name: journey.row[name] for name in (*RESULTS, "SOP class")} | {"geometry": str(measured)}
        new = set(shaping.items()) - met
        if new:
            met |= new
            found.append(journey.files.get("direct-sr", journey.files["sr"]))
    return found


@pytest.mark.skipif(bool(missing()), reason=f"validators are missing: {', '.join(missing())}")
def test_validators_find_no_error_and_no_unexplained_warning(travelled: list[Journey]) -> None:
    files: list[Path] = [file for journey in travelled for file in journey.files.values()]
    groups = [
        [file for kind, file in journey.files.items() if kind.startswith("direct") is of_direct]
        for journey in travelled
        for of_direct in (False, True)
    ]
    verdicts = [*validate(files, templates_of=unlike_reports(travelled)), *consistent(group for group in groups if group)]
    assert {(verdict.file.name, *error) for verdict in verdicts for error in verdict.errors} == set()
    assert {line for verdict in verdicts for _, line in verdict.warnings if reason_of(line) == "no reason is known"} == set()
