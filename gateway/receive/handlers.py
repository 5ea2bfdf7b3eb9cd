"""pynetdicom's events -> our calls. The edge where every exception becomes a DIMSE status."""

from __future__ import annotations

import threading
from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.association import Association

from gateway.config import PeerSettings
from gateway.dicom.commitment import read_report
from gateway.domain.answered import AdmittedBy, OpenedAssociation
from gateway.domain.confirmation import REPORT_NOT_RECORDED, REPORT_STATUS, CommitmentReport, ReportAnswer
from gateway.errors import DatabaseNotDurableError, DatabaseUnavailableError, SpoolNotDurableError
from gateway.events import Event, log_event
from gateway.receive.admission import Admission, Caller, admit
from gateway.receive.association_places import LIMIT, AssociationPlaces
from gateway.receive.dimse_status import INTERNAL, SUCCESS, Answer, answer_for
from gateway.receive.open_associations import OpenAssociations
from gateway.receive.own_results import Sender
from gateway.receive.security_alerts import SecurityAlerts
from gateway.receive.storage_scp import StorageScp, StoreRequest, refusal
from gateway.receive.tls import TlsIdentity
from gateway.store.receipts import Receipts, uid_or_illegal

_REJECT_PERMANENT_CALLING: Final = (0x01, 0x01, 0x03)
_REJECT_PERMANENT_CALLED: Final = (0x01, 0x01, 0x07)
_REJECT_TRANSIENT_CONGESTION: Final = (0x02, 0x03, 0x01)
_REJECT_TRANSIENT_LIMIT: Final = (0x02, 0x03, 0x02)
"""PS3.8 9.3.4: result, source, reason."""


class Handlers:
    """Bound to one server. `may_accept` says no while draining or when the disk is nearly full. called_ae_title None: any is answered."""

    def __init__(
        self,
        *,
        scp: StorageScp,
        receipts: Receipts,
        alerts: SecurityAlerts,
        peers: tuple[PeerSettings, ...],
        places: AssociationPlaces,
        called_ae_title: str | None,
        tls_identity: Callable[[Association], TlsIdentity | None],
        take_report: Callable[[str, CommitmentReport | None], ReportAnswer],
        may_accept: Callable[[], bool],
        on_fatal: Callable[[], None],
    ) -> None:
        self._scp = scp
        self._receipts = receipts
        self._alerts = alerts
        self._peers = peers
        self._places = places
        self._called_ae_title = called_ae_title
        self._tls_identity = tls_identity
        self._take_report = take_report
        self._may_accept = may_accept
        self._on_fatal = on_fatal
        self._open_associations = OpenAssociations(receipts)

    def bindings(self) -> list[tuple[Any, ...]]:
        return [
            (evt.EVT_REQUESTED, self.requested),
            (evt.EVT_ACCEPTED, self.accepted),
            (evt.EVT_REJECTED, self.rejected),
            (evt.EVT_RELEASED, self.ended, ["released"]),
            (evt.EVT_ABORTED, self.ended, ["aborted"]),
            (evt.EVT_CONN_CLOSE, self.ended, ["closed"]),
            (evt.EVT_C_ECHO, self.echo),
            (evt.EVT_C_STORE, self.store),
            (evt.EVT_N_EVENT_REPORT, self.report),
        ]

    def requested(self, event: Any) -> None:
        """Rejects before any negotiation: transient while full or draining, permanent for a sender that is not admitted."""
        assoc = event.assoc
        if not self._may_accept():
            self._reject(assoc, _REJECT_TRANSIENT_CONGESTION, "congestion")
            return
        admission = self._admission(assoc)
        if admission.refusal is not None:
            self._reject(assoc, _REJECT_PERMANENT_CALLING, admission.refusal)
        elif self._called_ae_title not in (None, str(assoc.requestor.primitive.called_ae_title).strip()):
            self._reject(assoc, _REJECT_PERMANENT_CALLED, "called_ae_title")
        elif (no_place := self._places.take(assoc, admission.peer)) is not None:
            self._reject(assoc, _REJECT_TRANSIENT_LIMIT, no_place)

    def _admission(self, assoc: Association) -> Admission:
        tls = self._tls_identity(assoc)
        caller = Caller(
            ae_title=str(assoc.requestor.primitive.calling_ae_title).strip(),
            address=str(assoc.requestor.address),
            certificate=tls.certificate if tls is not None else None,
        )
        return admit(self._peers, caller)

    def _reject(self, assoc: Association, rejection: tuple[int, int, int], reason: str) -> None:
        self._record_rejection(assoc, reason)
        assoc.acse.send_reject(*rejection)
        assoc.kill()

    def rejected(self, event: Any) -> None:
        """pynetdicom rejected it: its count of our own associations is a moment behind ours when one has just ended."""
        self._record_rejection(event.assoc, LIMIT)

    def _record_rejection(self, assoc: Association, reason: str) -> None:
        tls = self._tls_identity(assoc)
        self._alerts.association_rejected(
            reason=reason,
            calling_ae_title=str(assoc.requestor.primitive.calling_ae_title).strip(),
            called_ae_title=str(assoc.requestor.primitive.called_ae_title).strip(),
            peer_address=str(assoc.requestor.address),
            certificate_sha256=tls.certificate.sha256 if tls is not None and tls.certificate is not None else None,
        )

    def accepted(self, event: Any) -> None:
        try:
            self._identify(event.assoc)
            self._open_associations.begin(event.assoc)
        except DatabaseUnavailableError as error:
            # tried again at each C-STORE, which is answered A700 until it is on record who sends
            log_event(Event.ASSOCIATION_ACCEPTED, level="error", error_class=type(error).__name__)

    def _identify(self, assoc: Association) -> str:
        return self._open_associations.identify(assoc, lambda: self._describe(assoc))

    def _describe(self, assoc: Association) -> OpenedAssociation:
        return OpenedAssociation(
            calling_ae_title=str(assoc.requestor.ae_title).strip(),
            called_ae_title=str(assoc.requestor.primitive.called_ae_title).strip(),
            peer_address=str(assoc.requestor.address),
            way="c_store",
            admitted_by=_evidence(self._places.peer_of(assoc), self._tls_identity(assoc)),
        )

    def ended(self, event: Any, ending: str) -> None:
        self._places.give_back(event.assoc)
        if ending == "closed" and threading.current_thread() is not event.assoc:
            # the upper layer's thread sees the connection close while the association's own may not have told of its release yet
            return
        self._open_associations.end(event.assoc, ending)

    def echo(self, event: Any) -> int:
        log_event(Event.ECHO_ANSWERED, calling_ae_title=str(event.assoc.requestor.ae_title).strip())
        return SUCCESS

    def report(self, event: Any) -> tuple[int, None]:
        """A storage commitment report on an association of the destination's own (PS3.4 J.3.3)."""
        report = read_report(lambda: (int(event.event_type), event.event_information))
        try:
            return REPORT_STATUS[self._take_report(str(event.assoc.requestor.ae_title).strip(), report)], None
        except Exception as error:  # noqa: BLE001  the DIMSE edge: a bug costs this report, not the association
            log_event(Event.COMMITMENT_REFUSED, level="error", error_class=type(error).__name__)
            return REPORT_NOT_RECORDED, None

    def store(self, event: Any) -> Dataset:
        request = _store_request(event, self._identify(event.assoc))
        try:
            self._open_associations.record(event.assoc)
            answer = self._scp.answer(request)
        except (SpoolNotDurableError, DatabaseNotDurableError) as error:
            log_event(Event.INSTANCE_REFUSED, level="error", error_class=type(error).__name__)
            answer = answer_for(error)
            self._receipts.note(refusal(request, answer), after=error)
            self._on_fatal()
        except DatabaseUnavailableError as error:
            answer = answer_for(error)
            self._receipts.note(refusal(request, answer), after=error)
        except Exception as error:  # noqa: BLE001  the DIMSE edge: a bug costs this instance, not the association
            log_event(Event.INSTANCE_REFUSED, level="error", error_class=type(error).__name__)
            answer = INTERNAL
            # not by the road that has just failed
            self._receipts.note(refusal(request, answer))
        log_event(
            Event.INSTANCE_STORED if answer.status == SUCCESS else Event.INSTANCE_REFUSED,
            level="info" if answer.status == SUCCESS else "warning",
            association_id=request.association_id,
            calling_ae_title=str(event.assoc.requestor.ae_title).strip(),
            sop_instance_uid=uid_or_illegal(request.affected_sop_instance_uid),
            dimse_status=f"{answer.status:04X}",
            reason=answer.reason,
        )
        return _status_dataset(answer)


def _store_request(event: Any, association_id: str | None) -> StoreRequest:
    request = event.request
    return StoreRequest(
        affected_sop_class_uid=str(request.AffectedSOPClassUID or ""),
        affected_sop_instance_uid=str(request.AffectedSOPInstanceUID or ""),
        negotiated_sop_class_uid=str(event.context.abstract_syntax),
        transfer_syntax_uid=str(event.context.transfer_syntax),
        content=request.DataSet or BytesIO(),
        association_id=association_id,
        sender=_sender(event.assoc),
        is_too_long=getattr(request.DataSet, "is_too_long", False),
    )


def _sender(assoc: Association) -> Sender:
    return Sender(
        calling_ae_title=str(assoc.requestor.ae_title).strip(), implementation_class_uid=str(assoc.requestor.implementation_class_uid or "")
    )


def _evidence(peer: str | None, tls: TlsIdentity | None) -> AdmittedBy:
    certificate = tls.certificate if tls is not None else None
    return AdmittedBy(
        peer=peer, tls_version=tls.version if tls is not None else None, certificate_sha256=certificate.sha256 if certificate else None
    )


def _status_dataset(answer: Answer) -> Dataset:
    dataset = Dataset()
    dataset.Status = answer.status
    if answer.comment:
        dataset.ErrorComment = answer.comment
    return dataset
