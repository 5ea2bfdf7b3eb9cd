"""All faults, in the order of their numbers."""

from __future__ import annotations

from typing import Final

from tests.faults import (
    assessed,
    content,
    disk,
    half_open,
    hostile,
    interrupted,
    kills,
    operation,
    power,
    power_calls,
    secured,
    store,
    strangers,
)
from tests.faults.fault import Fault

_MODULES: Final = (
    assessed,
    half_open,
    hostile,
    interrupted,
    store,
    kills,
    power,
    power_calls,
    disk,
    content,
    operation,
    secured,
    strangers,
)

FAULTS: Final[tuple[Fault, ...]] = tuple(
    sorted(
        (fault for module in _MODULES for fault in module.FAULTS),
        key=lambda fault: fault.number,
    )
)
