"""Whether a destination still has what it took: storage commitment reports (PS3.4 J) and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentReport:
    """An N-EVENT-REPORT of storage commitment. failed: failure reason (PS3.3 C.14.1.1) by SOP Instance UID."""

    transaction_uid: str
    committed: frozenset[str]
    failed: Mapping[str, int]


class ReportAnswer(StrEnum):
    """What becomes of a report."""

    TAKEN = "taken"
    UNKNOWN_TRANSACTION = "unknown_transaction"
    """We never asked for it."""
    FOREIGN_PEER = "foreign_peer"
    """Another application entity than the one that was asked."""
    INSTANCE_MISSING = "instance_missing"
    """It does not speak of the result that it was asked about."""
    UNREADABLE = "unreadable"


REPORT_STATUS: Final[dict[ReportAnswer, int]] = {
    ReportAnswer.TAKEN: 0x0000,
    ReportAnswer.UNKNOWN_TRANSACTION: 0x0115,
    ReportAnswer.FOREIGN_PEER: 0x0124,
    ReportAnswer.INSTANCE_MISSING: 0x0115,
    ReportAnswer.UNREADABLE: 0x0115,
}
"""PS3.7 10.1.1.1.8: 0115 invalid argument value, 0124 refused: not authorized."""
REPORT_NOT_RECORDED: Final = 0x0110
"""Processing failure: the store could not be reached, the peer may report again."""


class Followup(StrEnum):
    """What a destination's refusal to commit leads to."""

    SEND_AGAIN = "send_again"
    ASK_AGAIN = "ask_again"
    GIVE_UP = "give_up"


NOT_FOUND: Final = "not_found"
"""The code of a find that has not seen it."""
_NOT_THERE: Final = "commitment_not_there"
NOT_THERE: Final = (_NOT_THERE, NOT_FOUND)
"""Codes over which it is sent again."""

_FOLLOWUPS: Final[dict[int, tuple[Followup, str]]] = {
    0x0110: (Followup.ASK_AGAIN, "commitment_processing_failure"),
    0x0112: (Followup.SEND_AGAIN, _NOT_THERE),
    0x0119: (Followup.GIVE_UP, "commitment_class_conflict"),
    0x0122: (Followup.GIVE_UP, "commitment_class_not_supported"),
    0x0131: (Followup.ASK_AGAIN, "commitment_duplicate_transaction"),
    0x0213: (Followup.ASK_AGAIN, "commitment_out_of_resources"),
}


def followup_of(failure_reason: int) -> tuple[Followup, str]:
    """And its code. A reason that the standard does not have is asked about again: it may be a passing trouble."""
    return _FOLLOWUPS.get(failure_reason, (Followup.ASK_AGAIN, "commitment_unknown_reason"))
