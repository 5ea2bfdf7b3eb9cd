"""All faults, in the order of their numbers."""

from __future__ import annotations

from typing import Final

from tests.faults import assessed, content, disk, half_open, hostile, kills, operation, power, power_calls, secured, strangers
from tests.faults.fault import Fault

FAULTS: Final[tuple[Fault, ...]] = tuple(
    sorted(
        (
            fault
            for module in (assessed, half_open, hostile, kills, power, power_calls, disk, content, operation, secured, strangers)
            for fault in module.FAULTS
        ),
        key=lambda fault: fault.number,
    )
)
