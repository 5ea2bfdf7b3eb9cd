"""What one process of all does for all."""

from __future__ import annotations

from enum import StrEnum


class Duty(StrEnum):
    """STORE: looking after the queue, its alarms and retention; any process that runs jobs. DESTINATIONS: asking them for a sign of
    life; a sender, since no other role speaks to a peer."""

    STORE = "store"
    DESTINATIONS = "destinations"
