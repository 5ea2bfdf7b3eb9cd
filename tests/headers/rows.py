"""Rows of headers and results together, and the report that a row asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from gateway.domain.finding import NotAssessed, Region, StudyReport
from gateway.domain.outcome import InstanceOutcome
from gateway.results.texts import CATALOGUES
from tests.conformance.cases import MODEL, knee, report

from .hospital import COLUMNS, ROWS
from .pairs import all_pairs
from .table import TABLE

RESULTS: Final[dict[str, tuple[str, ...]]] = {
    "result": ("flagged", "not flagged", "not assessed"),
    "report class": ("comprehensive", "comprehensive_3d", "enhanced"),
    "language": tuple(CATALOGUES),
    "severity": ("off", "on"),
}
"""What a result is made of beside its header."""
EVIDENCE: Final = "Seen on 100 synthetic knees."


def sample() -> list[dict[str, str]]:
    """Rows in which any two values meet, of headers and of results alike."""
    return all_pairs({**{attribute: tuple(choices) for attribute, choices in TABLE.items()}, **RESULTS})


def each_value_once() -> list[dict[str, str]]:
    """As few rows as the longest list of values; the shorter lists begin anew."""
    choices = {**{attribute: tuple(values) for attribute, values in TABLE.items()}, **RESULTS}
    longest = max(len(values) for values in choices.values())
    return [{attribute: values[number % len(values)] for attribute, values in choices.items()} for number in range(longest)]


def report_of(row: Mapping[str, str], uid: str, sop_class_uid: str) -> StudyReport:
    region = Region(left=4, top=4, right=COLUMNS - 4, bottom=ROWS - 4)
    scores = {"flagged": 80.0, "not flagged": 20.0}
    knees = [knee(uid, score=scores[row["result"]], region=region)] if row["result"] in scores else []
    refused = NotAssessed(sop_instance_uid=uid, sop_class_uid=sop_class_uid, outcome=InstanceOutcome.QUALITY_BLANK)
    shown = row["severity"] == "on"
    return replace(
        report(*knees, not_assessed=() if knees else (refused,)),
        model=replace(MODEL, evidence=EVIDENCE),
        show_severity=shown,
        show_t_score=shown,
    )
