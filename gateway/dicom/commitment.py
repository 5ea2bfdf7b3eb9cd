"""Data sets of the Storage Commitment Push Model (PS3.4 J.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pydicom.dataset import Dataset

from gateway.dicom.uids import is_legal
from gateway.domain.confirmation import CommitmentReport

_EVENT_TYPES: Final = (1, 2)
"""All committed; failures exist (PS3.4 J.3.3)."""
_LARGEST_REASON: Final = 0xFFFF
"""Failure Reason (0008,1197) is US."""


def commitment_request(transaction_uid: str, sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    """Action information about one instance."""
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
    request = Dataset()
    request.TransactionUID, request.ReferencedSOPSequence = transaction_uid, [reference]
    return request


def read_report(event: Callable[[], tuple[int, Dataset]]) -> CommitmentReport | None:
    """None for an event that is no report of storage commitment, that cannot be read, or that holds what is no UID or no reason.

    event: gives its type and its information; what decoding them raises is a report that cannot be read.
    """
    try:
        event_type, information = event()
        report = CommitmentReport(
            transaction_uid=str(information.TransactionUID),
            committed=frozenset(str(item.ReferencedSOPInstanceUID) for item in information.get("ReferencedSOPSequence") or ()),
            failed={str(item.ReferencedSOPInstanceUID): int(item.FailureReason) for item in information.get("FailedSOPSequence") or ()},
        )
    except Exception:  # noqa: BLE001  pydicom's readers raise whatever Python does
        return None
    return report if event_type in _EVENT_TYPES and _is_legal(report) else None


def _is_legal(report: CommitmentReport) -> bool:
    uids = (report.transaction_uid, *report.committed, *report.failed)
    return all(is_legal(uid) for uid in uids) and all(0 <= reason <= _LARGEST_REASON for reason in report.failed.values())
