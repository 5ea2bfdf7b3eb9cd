"""Deliveries: one result to one destination, and what a peer's answer means for it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class DeliveryState(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    FOUND = "found"
    """Seen there by C-FIND: less than committed, for destinations that do not commit."""
    COMMITTED = "committed"
    DEAD = "dead"
    HELD = "held"
    CANCELLED = "cancelled"


ARRIVED: Final = (DeliveryState.SENT, DeliveryState.FOUND, DeliveryState.COMMITTED)
"""The destination has said that it has the result."""

FINISHED: Final = (*ARRIVED, DeliveryState.CANCELLED)
"""Nothing is sent any more. DEAD is not among them: an operator may release it."""


NOT_TALKED_TO: Final = (
    "no_association",
    "association_rejected_transient",
    "association_lost",
    "no_response",
    "interrupted",
    "tls_failed",
    "tls_wrong_name",
    "tls_untrusted",
    "tls_expired",
    "tls_refused",
    "tls_files",
    "credentials_unreadable",
    *(f"http_{status}" for status in (301, 302, 303, 307, 308, 401, 403, 404, 407, 408, 425, 429, 502, 503, 504)),
)
"""Codes of attempts that failed before the destination said anything of the result: it is tried again as soon as anything gets through."""


class AttemptKind(StrEnum):
    """What was asked of a destination."""

    SEND = "send"
    COMMITMENT = "commitment"
    FIND = "find"


class Turn(StrEnum):
    """Whether a delivery may go now. An older revision never arrives after a newer one."""

    GO = "go"
    WAIT = "wait"
    SUPERSEDED = "superseded"


def turn_of(*, newer_released: bool, older_under_way: bool) -> Turn:
    """Of the same study to the same destination. newer_released: a later revision is to go there too; older_under_way: an earlier
    one is being sent at this moment.
    """
    if newer_released:
        return Turn.SUPERSEDED
    return Turn.WAIT if older_under_way else Turn.GO


class Verdict(StrEnum):
    """What an attempt came to: the object is there, worth trying again, or refused for good."""

    SENT = "sent"
    RETRY = "retry"
    DEAD = "dead"
