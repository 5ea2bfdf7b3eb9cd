"""All faults, in the order of their numbers."""

from __future__ import annotations

from typing import Final

from tests.faults import content, disk, operation, power
from tests.faults.fault import Fault

FAULTS: Final[tuple[Fault, ...]] = tuple(
    sorted((fault for module in (disk, power, content, operation) for fault in module.FAULTS), key=lambda fault: fault.number)
)
