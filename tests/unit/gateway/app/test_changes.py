"""What a changed configuration touches."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from gateway.app.changes import TOUCHES, changed_keys, fixed_keys, touched_roles
from gateway.app.role import Role
from gateway.config import Settings, parse_settings


def settings(**sections: Any) -> Settings:
    return parse_settings({"serve": {"development": True}, **sections})


@pytest.mark.parametrize("section", list(Settings.model_fields))
def test_every_section_says_what_depends_on_it(section: str) -> None:
    assert section in TOUCHES


@pytest.mark.parametrize("entry", [entry for entry in TOUCHES if "." in entry])
def test_entry_names_a_key_that_exists(entry: str) -> None:
    section, key = entry.split(".")
    model = getattr(Settings(), section)
    assert isinstance(model, BaseModel)
    assert key in type(model).model_fields


@pytest.mark.parametrize(
    ("changed", "keys", "roles"),
    [
        ({}, (), set()),
        ({"serve": {"development": True, "restart_max_seconds": 3}}, ("serve.restart_max_seconds",), set()),
        ({"receiver": {"ae_title": "X"}}, ("receiver.ae_title",), {Role.RECEIVER}),
        ({"peers": [{"name": "a", "ae_title": "A"}]}, ("peers",), {Role.RECEIVER, Role.WORKER}),
        (
            {"model": {"device": "cpu"}, "delivery": {"connect_seconds": 1}},
            ("model.device", "delivery.connect_seconds"),
            {*Role} - {Role.RECEIVER},
        ),
        ({"spool": {"reserve_mb": 5000}}, ("spool.reserve_mb",), set(Role)),
        ({"worker": {"lease_seconds": 600}}, ("worker.lease_seconds",), set(Role)),
        ({"logging": {"level": "debug"}}, ("logging.level",), set(Role)),
    ],
)
def test_change_starts_those_roles_anew_that_work_by_it(changed: dict[str, Any], keys: tuple[str, ...], roles: set[Role]) -> None:
    after = settings(**changed)
    assert changed_keys(settings(), after) == keys
    assert touched_roles(settings(), after) == roles
    assert fixed_keys(settings(), after) == ()


@pytest.mark.parametrize(
    ("changed", "fixed"),
    [
        ({"database": {"url": "sqlite:///other.db"}}, "database.url"),
        ({"spool": {"folder": "other", "reserve_mb": 1}}, "spool.folder"),
        ({"receiver": {"port": 1, "ae_title": "X"}}, "receiver.port"),
        ({"receiver": {"processes": 2}}, "receiver.processes"),
        ({"metrics": {"port": 9}}, "metrics.port"),
    ],
)
def test_what_cannot_change_while_running_is_named(changed: dict[str, Any], fixed: str) -> None:
    assert fixed_keys(settings(), settings(**changed)) == (fixed,)
