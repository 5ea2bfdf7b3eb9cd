"""What a person may decide of two data sets under one SOP Instance UID, and why: codes, since the audit takes no free text."""

from __future__ import annotations

from enum import StrEnum

from gateway.domain.retraction import RejectionReason


class ConflictDecision(StrEnum):
    """Which of the two stands. The other one is set aside; both stay in the spool."""

    KEEP_FIRST = "keep_first"
    KEEP_THIS = "keep_this"


class ConflictReason(StrEnum):
    """What was found out at the source."""

    CORRECTED_AT_SOURCE = "corrected_at_source"
    WRONG_PATIENT = "wrong_patient"
    WRONG_STUDY = "wrong_study"
    WRONG_SIDE = "wrong_side"
    WRONG_IMAGE = "wrong_image"
    UID_USED_TWICE = "uid_used_twice"
    SENT_BY_MISTAKE = "sent_by_mistake"

    @property
    def rejection(self) -> RejectionReason:
        """What the notes say for reports of another patient or study that are taken back."""
        if self in (ConflictReason.WRONG_PATIENT, ConflictReason.WRONG_STUDY, ConflictReason.CORRECTED_AT_SOURCE):
            return RejectionReason.WORKLIST
        return RejectionReason.PATIENT_SAFETY
