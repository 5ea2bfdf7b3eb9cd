"""A destination with storage commitment that speaks bytes, and reports that it, or another, brings over associations of their own."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, build_role
from pynetdicom.dimse_messages import N_ACTION_RSP, N_EVENT_REPORT_RQ
from pynetdicom.dimse_primitives import C_STORE, N_ACTION, N_EVENT_REPORT
from pynetdicom.dsutils import decode, encode

from tests.faults.images import EXPLICIT
from tests.peers.raw_scp import Visitor

COMMITMENT: Final = "1.2.840.10008.1.20.1"
_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
NOT_THERE: Final = 0x0112
"""Failure reason "no such object instance" (PS3.3 C.14.1.1)."""
_SECONDS: Final = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for storage commitment of one object."""

    transaction: str
    sop_class: str
    uid: str


Act = Callable[["Archive", Visitor, Any], None]


def _nothing(_archive: Archive, _visitor: Visitor, _what: Any) -> None:
    return


@dataclass
class Archive:
    """before_stored: with each C-STORE request, before its answer; before_answered, after_answered: with each `Asked`."""

    before_stored: Act = _nothing
    before_answered: Act = _nothing
    after_answered: Act = _nothing
    stored: list[str] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    """What its reports were answered."""
    reports_to: int = 0
    """The receiver's port, once it is known."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, visitor: Visitor) -> None:
        visitor.accept(syntax=EXPLICIT)
        while True:
            request = visitor.request()
            if isinstance(request, C_STORE):
                self.before_stored(self, visitor, request)
                with self.lock:
                    self.stored.append(str(request.AffectedSOPInstanceUID))
                visitor.answer(request, 0)
            elif isinstance(request, N_ACTION):
                self._ask(visitor, request)

    def _ask(self, visitor: Visitor, request: N_ACTION) -> None:
        information = decode(request.ActionInformation, False, True)
        (item,) = information.ReferencedSOPSequence
        asked = Asked(str(information.TransactionUID), str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
        with self.lock:
            self.asked.append(asked)
        self.before_answered(self, visitor, asked)
        response = N_ACTION()
        response.MessageIDBeingRespondedTo, response.Status = request.MessageID, 0
        response.AffectedSOPClassUID, response.AffectedSOPInstanceUID = COMMITMENT, _INSTANCE
        response.ActionTypeID = 1
        message = N_ACTION_RSP()
        message.primitive_to_message(response)
        visitor.say(message, visitor.contexts[COMMITMENT])
        self.after_answered(self, visitor, asked)

    def transactions(self) -> dict[str, list[str]]:
        """By object, in the order of the requests."""
        with self.lock:
            asked = list(self.asked)
        return {uid: [one.transaction for one in asked if one.uid == uid] for uid in sorted({one.uid for one in asked})}

    def times_stored(self) -> list[int]:
        """Of each object."""
        with self.lock:
            return sorted(Counter(self.stored).values())

    def report_here(self, visitor: Visitor, transaction: str, uid: str) -> None:
        """All is well, over the visitor's own association; its answer into `answers`."""
        report = N_EVENT_REPORT()
        report.MessageID, report.EventTypeID = 1, 1
        report.AffectedSOPClassUID, report.AffectedSOPInstanceUID = COMMITMENT, _INSTANCE
        report.EventInformation = BytesIO(encode(_information(transaction, (uid,), {}), False, True) or b"")
        message = N_EVENT_REPORT_RQ()
        message.primitive_to_message(report)
        visitor.say(message, visitor.contexts[COMMITMENT])
        self.answers.append(f"{int(visitor.request().Status):04X}")


def report(port: int, transaction: str, uids: Sequence[str], failed: Mapping[str, int] | None = None, *, calling: str = "PACS") -> str:
    """Over an association to the receiver; its answer, or that there was none."""
    ae = AE(ae_title=calling)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = _SECONDS
    ae.add_requested_context(COMMITMENT, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", port, ext_neg=[build_role(COMMITMENT, scp_role=True)], ae_title="STRNET")
    if not association.is_established:
        return "no association"
    status, _ = association.send_n_event_report(_information(transaction, uids, failed or {}), 2 if failed else 1, COMMITMENT, _INSTANCE)
    association.release()
    return f"{int(status.Status):04X}" if "Status" in status else "no answer"


def _information(transaction: str, uids: Sequence[str], failed: Mapping[str, int]) -> Dataset:
    """What an N-EVENT-REPORT says (PS3.4 J.3.3)."""
    information = Dataset()
    information.TransactionUID = transaction
    information.ReferencedSOPSequence = [_reference(uid) for uid in uids]
    if failed:
        information.FailedSOPSequence = [_reference(uid) for uid in failed]
        for item, reason in zip(information.FailedSOPSequence, failed.values(), strict=True):
            item.FailureReason = reason
    return information


def _reference(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", uid
    return item
