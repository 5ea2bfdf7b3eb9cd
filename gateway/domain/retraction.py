"""Why results are taken back, and whether a destination may hold what is taken back. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.domain.delivery import ARRIVED

REJECTION: Final = "rejection"
"""The kind of a result that is a rejection note, and the last part of what its UIDs are derived from, before the reason."""


class RejectionReason(StrEnum):
    """The word for the command line, the table and the audit; the code is the title of the rejection note (PS3.16 CID 7010, IHE IOCM)."""

    QUALITY = "quality"
    PATIENT_SAFETY = "patient_safety"
    WORKLIST = "worklist"
    RETENTION = "retention"

    @property
    def code_value(self) -> str:
        """In the DICOM controlled terminology (DCM)."""
        return _TITLES[self][0]

    @property
    def code_meaning(self) -> str:
        return _TITLES[self][1]


_TITLES: Final[dict[RejectionReason, tuple[str, str]]] = {
    RejectionReason.QUALITY: ("113001", "Rejected for Quality Reasons"),
    RejectionReason.PATIENT_SAFETY: ("113037", "Rejected for Patient Safety Reasons"),
    RejectionReason.WORKLIST: ("113038", "Incorrect Modality Worklist Entry"),
    RejectionReason.RETENTION: ("113039", "Data Retention Policy Expired"),
}


def reason_of_title(code_value: str) -> RejectionReason | None:
    """The reason that a Key Object Selection with this title gives; None for a title that rejects nothing."""
    return next((reason for reason in RejectionReason if reason.code_value == code_value), None)


_NEVER_BEGUN: Final = frozenset(
    {
        "no_association",
        "association_rejected_transient",
        "association_rejected_permanent",
        "context_refused",
        "destination_unknown",
        "destination_class",
        "not_released",
        "policy_forbids",
        "policy_withdrawn",
        "destination_withdrawn",
        "bundle_not_live",
        "credentials_unreadable",
        "tls_failed",
        "tls_wrong_name",
        "tls_untrusted",
        "tls_expired",
        "tls_files",
        "lost",
        "corrupt",
    }
)
"""Codes of attempts without a status that ended before the object was sent. `tls_refused` is none: it may be told afterwards."""
_TAKEN_ALL_THE_SAME: Final = 0x0111
_REFUSALS: Final = ((0x0100, 0x01FF), (0xA700, 0xA7FF), (0xA900, 0xA9FF), (0xC000, 0xCFFF))
"""PS3.4 B.2.3, PS3.7 C: statuses that say that the object was not taken."""


def may_have_arrived(code: str | None, dimse_status: int | None) -> bool:
    """Of one attempt that was not answered with success: False only where it is known that the object is not there."""
    if dimse_status is None:
        return code not in _NEVER_BEGUN
    if dimse_status == _TAKEN_ALL_THE_SAME:
        return True
    return not any(first <= dimse_status <= last for first, last in _REFUSALS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRecord:
    """What is known of a report's way to one destination. unanswered: attempts that began and whose end nobody knows."""

    state: str
    was_sent: bool
    attempts: tuple[tuple[str | None, int | None], ...]
    """Code and status of every other attempt."""
    unanswered: int


def needs_note(record: SendRecord) -> bool:
    """Whether a rejection note is due there: the object is, or may be, at the destination."""
    return (
        record.state in ARRIVED
        or record.was_sent
        or record.unanswered > 0
        or any(may_have_arrived(code, status) for code, status in record.attempts)
    )
