from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import ConfigurationError
from gateway.routing.rules import compile_condition

VALUES = {"Modality": ("DX",), "KVP": ("66",), "StationName": ("XR-12", "backup"), "ViewCodeSequence.CodeValue": ("399348003",)}


def holds(condition: dict[str, Any]) -> bool:
    return compile_condition(condition, "when").holds(lambda path: VALUES.get(path, ()))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({}, True),
        ({"keyword": "Modality", "equals": "dx"}, True),
        ({"keyword": "Modality", "equals": "CR"}, False),
        ({"keyword": "Modality", "in": ["CR", "DX"]}, True),
        ({"keyword": "StationName", "regex": "^XR-[0-9]+$"}, True),
        ({"keyword": "StationName", "regex": "^YR"}, False),
        ({"keyword": "BodyPartExamined", "exists": False}, True),
        ({"keyword": "Modality", "exists": True}, True),
        ({"keyword": "KVP", "range": [50, 66]}, True),
        ({"keyword": "KVP", "range": [67, 90]}, False),
        ({"keyword": "StationName", "range": [0, 99]}, False),
        ({"keyword": "ViewCodeSequence.CodeValue", "equals": "399348003"}, True),
        ({"keyword": "KVP", "exists": True, "range": [0, 10]}, False),
        ({"not": {"keyword": "Modality", "equals": "DX"}}, False),
        ({"all_of": [{"keyword": "Modality", "equals": "DX"}, {"keyword": "KVP", "exists": True}]}, True),
        ({"all_of": [{"keyword": "Modality", "equals": "DX"}, {"keyword": "KVP", "exists": False}]}, False),
        ({"any_of": [{"keyword": "Modality", "equals": "CR"}, {"keyword": "KVP", "exists": True}]}, True),
        ({"any_of": [{"keyword": "Modality", "equals": "CR"}, {"keyword": "KVP", "exists": False}]}, False),
    ],
)
def test_operator_decides_as_its_documentation_says(condition: dict[str, Any], expected: bool) -> None:
    assert holds(condition) is expected


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({"keyword": "Modalty", "equals": "DX"}, "no DICOM keyword"),
        ({"keyword": "Modality"}, "operator is missing"),
        ({"keyword": "Modality", "equal": "DX"}, "unknown key 'equal'"),
        ({"keyword": "Modality", "in": "DX"}, "list of texts"),
        ({"keyword": "Modality", "regex": "("}, "not a regular expression"),
        ({"keyword": "KVP", "range": [1]}, "lowest, highest"),
        ({"keyword": "KVP", "exists": "yes"}, "true or false"),
        ({"all_of": []}, "list of conditions"),
        ({"all_of": [{}], "any_of": [{}]}, "unknown key 'any_of'"),
        ({"not": [1]}, "a condition"),
    ],
)
def test_wrong_condition_is_refused_with_its_place(condition: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        compile_condition(condition, "routes.a.when")
    assert "routes.a.when" in str(caught.value)


def test_text_of_a_condition_shows_the_rule_and_no_value_it_met() -> None:
    condition = compile_condition({"all_of": [{"keyword": "Modality", "equals": "CR"}, {"keyword": "StationName", "exists": True}]}, "x")
    assert condition.text == "(Modality equals 'CR' and StationName exists True)"
