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


PEERS = [
    {"name": "room1", "ae_title": "XRAY1", "routes": ["rest"]},
    {"name": "pacs", "ae_title": "PACS"},
]


@pytest.mark.parametrize(
    ("peer", "route", "reason"),
    [
        (None, "room-1", "eligible"),
        ("pacs", "room-1", "eligible"),
        ("room1", "rest", "eligible"),
        ("gone", None, "peer is no longer configured"),
    ],
)
def test_peer_is_routed_by_its_own_routes_only(peer: str | None, route: str | None, reason: str) -> None:
    router = Router(parse_settings({"routes": ROUTES, "peers": PEERS}))
    values = {"StationName": ("ROOM1",), "Modality": ("DX",)}
    decision = router.decide(KNEE, lambda path: values.get(path, ()), peer)
    assert (decision.route, decision.reason) == (route, reason)


def test_peer_that_is_gone_changes_nothing_where_no_peer_has_routes() -> None:
    router = Router(parse_settings({"routes": ROUTES, "peers": [PEERS[1]]}))
    assert router.decide(KNEE, lambda _path: ("DX",), "gone").route == "rest"
