"""Deliveries: one result to one destination, and what a peer's answer means for it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class DeliveryState(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    COMMITTED = "committed"
    DEAD = "dead"
    HELD = "held"
    CANCELLED = "cancelled"


FINISHED: Final = (DeliveryState.SENT, DeliveryState.COMMITTED, DeliveryState.CANCELLED)
"""Nothing is sent any more. DEAD is not among them: an operator may release it."""


class Verdict(StrEnum):
    """What an attempt came to: the object is there, worth trying again, or refused for good."""

    SENT = "sent"
    RETRY = "retry"
    DEAD = "dead"
