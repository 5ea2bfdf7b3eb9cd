"""Storage commitment reports that no standard knows: answered, and the lane goes on."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.dimse_primitives import N_EVENT_REPORT

from gateway.config import DeliverySettings, DestinationSettings
from gateway.delivery.circuit_breaker import CircuitBreaker
from gateway.delivery.commitment_scu import answering
from gateway.delivery.destination_link import DestinationLink
from gateway.dicom.uids import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from gateway.domain.confirmation import CommitmentReport, ReportAnswer

INFINITE = (b"FD", struct.pack("<d", float("inf")))
TOO_LARGE = (b"UL", struct.pack("<L", 0xFFFFFFFF))
A_REASON = (b"US", struct.pack("<H", 0x0112))


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    return head + (struct.pack("<HL", 0, len(value)) if vr == b"SQ" else struct.pack("<H", len(value))) + value


def report(transaction: bytes = b"1.2.3\0", uid: bytes = b"2.25.7", reason: tuple[bytes, bytes] = A_REASON) -> Any:
    item = element(0x00081150, b"UI", b"1.2\0") + element(0x00081155, b"UI", uid) + element(0x00081197, *reason)
    failed = struct.pack("<HHL", 0xFFFE, 0xE000, len(item)) + item
    request = N_EVENT_REPORT()
    request.MessageID, request.EventTypeID = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
    request.EventInformation = BytesIO(element(0x00081195, b"UI", transaction) + element(0x00081198, b"SQ", failed))
    return request


def answered(request: Any) -> tuple[int, list[CommitmentReport | None]]:
    seen: list[CommitmentReport | None] = []

    def take(one: CommitmentReport | None) -> ReportAnswer:
        seen.append(one)
        return ReportAnswer.TAKEN if one else ReportAnswer.UNREADABLE

    _, response = answering(take)(request, ExplicitVRLittleEndian)
    return int(response.Status), seen


@pytest.mark.parametrize(
    "strange",
    [
        {"reason": INFINITE},
        {"reason": TOO_LARGE},
        {"transaction": b"1.2\x003"},
        {"transaction": b"1." + b"2" * 70},
        {"uid": b"not a UID"},
    ],
)
def test_report_with_what_is_no_uid_or_reason_is_unreadable(strange: dict[str, Any]) -> None:
    assert answered(report(**strange)) == (0x0115, [None])


def test_legal_report_reaches_the_store() -> None:
    status, (seen,) = answered(report())
    assert status == 0
    assert seen is not None
    assert dict(seen.failed) == {"2.25.7": 0x0112}


def test_defect_while_a_report_is_taken_is_answered_with_processing_failure() -> None:
    def fails(_report: CommitmentReport | None) -> ReportAnswer:
        raise OverflowError

    _, response = answering(fails)(report(), ExplicitVRLittleEndian)
    assert response.Status == 0x0110


def test_lane_outlives_whatever_its_idle_association_does() -> None:
    class Ill:
        aborted = False

        def serve(self) -> None:
            raise OverflowError

        def abort(self) -> None:
            self.aborted = True

    destination = DestinationSettings.model_validate({"name": "pacs", "ae_title": "P", "host": "h", "port": 1, "class": "test"})
    link = DestinationLink(destination, DeliverySettings(), CircuitBreaker(failures=3, seconds=1))
    ill = Ill()
    link._talk = ill  # type: ignore[assignment]
    link.idle()
    assert (ill.aborted, link._talk) == (True, None)
