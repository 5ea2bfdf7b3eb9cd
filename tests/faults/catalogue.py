"""All faults, in the order of their numbers."""

from __future__ import annotations

from typing import Final

from tests.faults import (
    answers,
    assessed,
    clock,
    content,
    database_server,
    disk,
    engine,
    half_open,
    hostile,
    interrupted,
    kills,
    operation,
    power,
    power_calls,
    secured,
    several_gateways,
    store,
    strangers,
)
from tests.faults.fault import Fault

_MODULES: Final = (
    answers,
    assessed,
    half_open,
    hostile,
    interrupted,
    engine,
    store,
    kills,
    power,
    power_calls,
    disk,
    content,
    database_server,
    operation,
    secured,
    several_gateways,
    strangers,
    clock,
)

FAULTS: Final[tuple[Fault, ...]] = tuple(
    sorted(
        (fault for module in _MODULES for fault in module.FAULTS),
        key=lambda fault: fault.number,
    )
)
