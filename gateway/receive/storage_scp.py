"""The promise of C-STORE: success means that file, receipt, instance, job and audit event are durable."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO

from gateway.dicom.attributes import read_description
from gateway.dicom.part10 import file_head, read_received
from gateway.domain.answered import Refusal
from gateway.domain.attributes import InstanceIdentity
from gateway.domain.identifiers import new_id
from gateway.errors import DatabaseNotDurableError, DatabaseUnavailableError, GatewayError, SpoolNotDurableError
from gateway.events import Event, log_event
from gateway.receive.dimse_status import CLASS_NOT_NEGOTIATED, SUCCESS, TOO_LONG, UID_MISMATCH, Answer, answer_for
from gateway.receive.own_results import Sender, own_sign
from gateway.store.new_instance import ReceivedInstance
from gateway.store.receipts import Acceptance, Receipts, digest_of, refusal_of
from gateway.store.spool import Spool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRequest:
    """A C-STORE request: what the command says, what was negotiated, and the encoded data set."""

    affected_sop_class_uid: str
    affected_sop_instance_uid: str
    negotiated_sop_class_uid: str
    transfer_syntax_uid: str
    content: BytesIO
    association_id: str | None
    sender: Sender = field(default_factory=Sender)
    is_too_long: bool = False
    """It went beyond what a message may be, and its content was dropped while it came in."""


class StorageScp:
    """Takes one request at a time, from any thread."""

    def __init__(self, receipts: Receipts, spool: Spool, *, own_ae_titles: frozenset[str] = frozenset()) -> None:
        self._receipts = receipts
        self._spool = spool
        self._own_ae_titles = own_ae_titles

    def answer(self, request: StoreRequest) -> Answer:
        """What to answer; on SUCCESS everything is durable already. A refusal gets a receipt too, or is noted until it can have one.

        SpoolNotDurableError and DatabaseNotDurableError are the caller's to handle: answer A700 and stop the receiver.
        """
        try:
            answer = self._accept(request)
            if answer.status != SUCCESS:
                self._record_refusal(request, answer)
        except (SpoolNotDurableError, DatabaseNotDurableError):
            raise
        except DatabaseUnavailableError as error:
            # noted at once: asking the database again would make the sender wait for as long again
            answer = answer_for(error)
            self._receipts.note(refusal(request, answer), after=error)
        except GatewayError as error:
            answer = answer_for(error)
            self._record_refusal(request, answer)
        return answer

    def _accept(self, request: StoreRequest) -> Answer:
        if request.is_too_long:
            return TOO_LONG
        if request.affected_sop_class_uid != request.negotiated_sop_class_uid:
            return CLASS_NOT_NEGOTIATED
        header = read_received(request.content, request.transfer_syntax_uid)
        if not _agrees(header.identity, request):
            return UID_MISMATCH
        content = request.content.getbuffer()
        received = ReceivedInstance(
            identity=header.identity,
            description=read_description(header.dataset),
            transfer_syntax_uid=request.transfer_syntax_uid,
            dataset_digest=digest_of(content),
            size=len(content),
            own_sign=own_sign(header.dataset, header.identity.sop_class_uid, request.sender, self._own_ae_titles),
        )
        acceptance = self._receipts.known(received)
        if acceptance is None:
            acceptance = self._keep(received, content, request.association_id)
        else:
            acceptance = self._receipts.commit(received, instance_id=new_id(), file=None, association_id=request.association_id)
        return Answer(SUCCESS, "", acceptance.value)

    def _record_refusal(self, request: StoreRequest, answer: Answer) -> None:
        """The refusal is answered in any case; without a database and room for a note it costs its receipt, never the answer."""
        try:
            self._receipts.refuse(refusal(request, answer))
        except DatabaseNotDurableError:
            raise
        except DatabaseUnavailableError as error:
            log_event(Event.INSTANCE_REFUSED, level="error", error_class=type(error).__name__, reason=answer.reason)

    def _keep(self, received: ReceivedInstance, content: memoryview, association_id: str | None) -> Acceptance:
        """File first, row second: a file without a row is adopted at the next start, a row without a file would be a lie."""
        instance_id = self._spool.new_id()
        name = self._spool.write("instance", instance_id, (file_head(received.identity, received.transfer_syntax_uid), content))
        # after a database error the file stays: the commit may have happened although its answer was lost; the sweep decides
        acceptance = self._receipts.commit(received, instance_id=instance_id, file=name, association_id=association_id)
        if acceptance is not Acceptance.STORED:
            self._spool.remove(name)
        return acceptance


def refusal(request: StoreRequest, answer: Answer) -> Refusal:
    """The receipt of an answer that is a failure."""
    return refusal_of(
        sop_class_uid=request.affected_sop_class_uid,
        sop_instance_uid=request.affected_sop_instance_uid,
        transfer_syntax_uid=request.transfer_syntax_uid,
        dimse_status=answer.status,
        reason=answer.reason,
        association_id=request.association_id,
    )


def _agrees(identity: InstanceIdentity, request: StoreRequest) -> bool:
    return identity.sop_instance_uid == request.affected_sop_instance_uid and identity.sop_class_uid == request.affected_sop_class_uid
