"""Storage commitment as SCU (PS3.4 J): asks for it by N-ACTION, and answers the reports that come over the same association."""

from __future__ import annotations

import math
from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.dimse_messages import N_ACTION_RQ, N_EVENT_REPORT_RSP
from pynetdicom.dimse_primitives import N_ACTION, N_EVENT_REPORT
from pynetdicom.dsutils import decode, encode

from gateway.delivery.association import Association
from gateway.delivery.destination_link import DestinationLink
from gateway.delivery.link import Answered, trouble
from gateway.dicom.commitment import commitment_request, read_report
from gateway.dicom.uids import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from gateway.domain.confirmation import REPORT_NOT_RECORDED, REPORT_STATUS, CommitmentReport, ReportAnswer
from gateway.domain.delivery import Verdict
from gateway.errors import DestinationError
from gateway.events import Event, log_event

_REQUEST_COMMITMENT: Final = 1
TakeReport = Callable[[CommitmentReport | None], ReportAnswer]
"""Puts a report into the store; None for one that cannot be read."""


class CommitmentScu:
    """Asks over a link; never raises for what a peer does."""

    def __init__(self, link: DestinationLink) -> None:
        self._link = link

    def ask(self, transaction_uid: str, sop_class_uid: str, sop_instance_uid: str, *, until: float = math.inf) -> Answered:
        """SENT: the destination will report. until: see `DestinationLink.ask`."""
        try:
            # never twice: a destination may have seen the transaction although its association was lost
            status = self._link.ask(
                lambda association: _ask(association, transaction_uid, sop_class_uid, sop_instance_uid), until=until, repeat=False
            )
        except DestinationError as error:
            return trouble(error)
        if status == 0:
            return Answered(verdict=Verdict.SENT, code="commitment_asked", dimse_status=status)
        return Answered(verdict=Verdict.RETRY, code="commitment_request_refused", dimse_status=status)


def _ask(association: Association, transaction_uid: str, sop_class_uid: str, sop_instance_uid: str) -> int:
    context = association.context_for(STORAGE_COMMITMENT)
    implicit = context.transfer_syntax_uid == ImplicitVRLittleEndian
    request = N_ACTION()
    request.MessageID, request.ActionTypeID = association.next_message_id(), _REQUEST_COMMITMENT
    request.RequestedSOPClassUID, request.RequestedSOPInstanceUID = STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
    content = encode(commitment_request(transaction_uid, sop_class_uid, sop_instance_uid), implicit, is_little_endian=True)
    request.ActionInformation = BytesIO(content or b"")
    association.send(N_ACTION_RQ(), request, context)
    response, _ = association.receive(request.MessageID, N_ACTION)
    return int(response.Status)


def answering(take: TakeReport) -> Callable[[Any, str], Any]:
    """What a link does with an N-EVENT-REPORT request: its response, after the store has the report."""

    def answer(request: Any, transfer_syntax_uid: str) -> Any:
        response = N_EVENT_REPORT()
        response.MessageIDBeingRespondedTo = request.MessageID
        response.AffectedSOPClassUID, response.AffectedSOPInstanceUID = request.AffectedSOPClassUID, request.AffectedSOPInstanceUID
        response.EventTypeID = request.EventTypeID
        try:
            response.Status = REPORT_STATUS[take(_read(request, transfer_syntax_uid))]
        except Exception as error:  # noqa: BLE001  whatever a peer reports, its lane goes on
            log_event(Event.COMMITMENT_REFUSED, level="error", error_class=type(error).__name__)
            response.Status = REPORT_NOT_RECORDED
        return N_EVENT_REPORT_RSP(), response

    return answer


def _read(request: Any, transfer_syntax_uid: str) -> CommitmentReport | None:
    return read_report(
        lambda: (
            int(request.EventTypeID),
            decode(request.EventInformation, transfer_syntax_uid == ImplicitVRLittleEndian, is_little_endian=True),
        )
    )
