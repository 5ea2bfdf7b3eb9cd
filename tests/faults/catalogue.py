"""All faults, in the order of their numbers."""

from __future__ import annotations

from typing import Final

from tests.faults import (
    answers,
    assessed,
    clock,
    commitment,
    content,
    database_network,
    database_server,
    destinations,
    disk,
    engine,
    half_open,
    hostile,
    interrupted,
    kills,
    operation,
    power,
    power_calls,
    random_kills,
    secured,
    several_gateways,
    short_memory,
    spool_files,
    store,
    strangers,
    upgrade,
)
from tests.faults.fault import Fault

_MODULES: Final = (
    answers,
    assessed,
    commitment,
    destinations,
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
    database_network,
    random_kills,
    short_memory,
    spool_files,
    upgrade,
)

FAULTS: Final[tuple[Fault, ...]] = tuple(
    sorted(
        (fault for module in _MODULES for fault in module.FAULTS),
        key=lambda fault: fault.number,
    )
)
