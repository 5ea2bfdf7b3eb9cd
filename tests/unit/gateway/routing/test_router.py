from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.config import parse_settings
from gateway.domain.outcome import InstanceOutcome
from gateway.errors import ConfigurationError
from gateway.routing.router import Router
from tests.unit.gateway.routing.test_eligibility import KNEE

ROUTES = [
    {"name": "room-1", "when": {"keyword": "StationName", "equals": "ROOM1"}, "policy": "all"},
    {"name": "rest", "when": {"keyword": "Modality", "equals": "DX"}},
]


def test_first_route_that_holds_takes_the_instance() -> None:
    router = Router(parse_settings({"routes": ROUTES}))
    values = {"StationName": ("ROOM1",), "Modality": ("DX",)}
    assert router.decide(KNEE, lambda path: values.get(path, ())).route == "room-1"
    values["StationName"] = ("ROOM2",)
    assert router.decide(KNEE, lambda path: values.get(path, ())).route == "rest"


def test_instance_that_no_route_takes_is_recorded_as_such() -> None:
    decision = Router(parse_settings({"routes": ROUTES})).decide(KNEE, lambda _path: ())
    assert (decision.route, decision.outcome) == (None, InstanceOutcome.INELIGIBLE_ROUTE)


def test_refusal_keeps_its_route() -> None:
    decision = Router(parse_settings({})).decide(replace(KNEE, view_position="LL"), lambda _path: ())
    assert (decision.route, decision.outcome) == ("default", InstanceOutcome.INELIGIBLE_VIEW_LATERAL)


def test_wrong_condition_names_its_route() -> None:
    with pytest.raises(ConfigurationError, match=r"routes\.bad\.when"):
        Router(parse_settings({"routes": [{"name": "bad", "when": {"keyword": "Nothing", "equals": 1}}]}))
