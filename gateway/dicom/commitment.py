"""Data sets of the Storage Commitment Push Model (PS3.4 J.3)."""

from __future__ import annotations

from typing import Final

from pydicom.dataset import Dataset

from gateway.domain.confirmation import CommitmentReport

_EVENT_TYPES: Final = (1, 2)
"""All committed; failures exist (PS3.4 J.3.3)."""


def commitment_request(transaction_uid: str, sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    """Action information about one instance."""
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
    request = Dataset()
    request.TransactionUID, request.ReferencedSOPSequence = transaction_uid, [reference]
    return request


def read_report(event_type: int, information: Dataset) -> CommitmentReport | None:
    """None for an event that is no report of storage commitment, or that cannot be read."""
    if event_type not in _EVENT_TYPES:
        return None
    try:
        return CommitmentReport(
            transaction_uid=str(information.TransactionUID),
            committed=frozenset(str(item.ReferencedSOPInstanceUID) for item in information.get("ReferencedSOPSequence") or ()),
            failed={str(item.ReferencedSOPInstanceUID): int(item.FailureReason) for item in information.get("FailedSOPSequence") or ()},
        )
    except (AttributeError, LookupError, NotImplementedError, OSError, TypeError, ValueError):
        return None
