"""A requestor's association (PS3.8, PS3.7) over one connection in one thread: pynetdicom's codecs without its threads and queues."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ, P_DATA_TF
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import PresentationContext, build_context

from gateway.config import DeliverySettings, DestinationSettings
from gateway.delivery.connection import Connection
from gateway.delivery.reach import reach
from gateway.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from gateway.errors import (
    AssociationLostError,
    AssociationRejectedError,
    AssociationRejectedTransientError,
    ContextRefusedError,
    DestinationError,
    NoResponseError,
)

_HEAD: Final = struct.Struct(">BBL")
_ACCEPT, _REJECT, _P_DATA, _RELEASE_RQ, _RELEASE_RP, _ABORT = 2, 3, 4, 5, 6, 7
_RELEASE: Final = struct.pack(">BBLL", _RELEASE_RQ, 0, 4, 0)
_RELEASED: Final = struct.pack(">BBLL", _RELEASE_RP, 0, 4, 0)
_ABORTED: Final = struct.pack(">BBLL", _ABORT, 0, 4, 0)
_MAX_PDU: Final = 131072
"""Offered, and the most that is sent in one PDU whatever the peer would take."""
_MIN_PDU: Final = 1024
_MAX_ANSWER: Final = 1024 * 1024
"""No answer of a destination is longer; one that claims to be is not read."""
_FAREWELL_SECONDS: Final = 2.0
"""For the peer's A-RELEASE-RP; then the connection is closed without it."""
_REJECTED_PERMANENT: Final = 1
_REJECTIONS: Final = {
    (1, 2): "application_context_unknown",
    (1, 3): "calling_ae_title_unknown",
    (1, 7): "called_ae_title_unknown",
    (2, 2): "protocol_version",
    (3, 1): "congestion",
    (3, 2): "local_limit",
}
"""PS3.8 9.3.4: (source, reason) of an A-ASSOCIATE-RJ that says why."""

Contexts = Mapping[str, Sequence[str]]
"""What is proposed: transfer syntaxes by abstract syntax."""
OnReport = Callable[[Any, str], Any]
"""An N-EVENT-REPORT request that the peer sent over our association, and its response."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A presentation context that the peer took."""

    number: int
    transfer_syntax_uid: str


class Association:
    """One request at a time, by one thread. An instance is good until its first error."""

    def __init__(self, destination: DestinationSettings, settings: DeliverySettings, connection: Connection, on_report: OnReport) -> None:
        self._destination = destination
        self._settings = settings
        self._connection = connection
        self._on_report = on_report
        self._accepted: dict[str, Accepted] = {}
        self._max_pdu = 0
        self._message_id = 0

    def request(self, contexts: Contexts) -> None:
        """Connects and negotiates. DestinationError when there is no association afterwards."""
        proposed = [build_context(uid, list(syntaxes)) for uid, syntaxes in contexts.items()]
        for number, context in enumerate(proposed):
            context.context_id = 2 * number + 1
        reach(self._connection, self._destination, self._settings)
        deadline = self._answer_deadline()
        self._connection.write(A_ASSOCIATE_RQ(self._asking(proposed)).encode(), deadline)
        kind, content = self._read_pdu(deadline)
        if kind == _REJECT:
            raise _rejection(content)
        if kind != _ACCEPT:
            raise AssociationLostError("aborted")
        self._take(content, {int(context.context_id): str(context.abstract_syntax) for context in proposed})

    def context_for(self, abstract_syntax: str) -> Accepted:
        """ContextRefusedError when the peer did not take that class."""
        try:
            return self._accepted[abstract_syntax]
        except KeyError:
            raise ContextRefusedError(abstract_syntax) from None

    @property
    def accepted(self) -> Mapping[str, Accepted]:
        """What the peer took, by abstract syntax."""
        return dict(self._accepted)

    def next_message_id(self) -> int:
        self._message_id = self._message_id % 0xFFFF + 1
        return self._message_id

    def send(self, message: DIMSEMessage, primitive: Any, context: Accepted) -> None:
        """A whole request within `delivery.message_seconds`, each of its PDUs within `delivery.response_seconds`."""
        message.primitive_to_message(primitive)
        end = time.monotonic() + self._settings.message_seconds
        for part in message.encode_msg(context.number, self._max_pdu):
            self._connection.write(P_DATA_TF(part).encode(), min(end, self._answer_deadline()))

    def receive(self, message_id: int, expected: type[Any]) -> tuple[Any, int]:
        """The next response to that request, with its context's number. Answers to other messages are no answers to ours.

        expected: the primitive's class. AssociationLostError for a response of another one, or one without a status.
        """
        deadline = self._answer_deadline()
        while True:
            primitive, context = self._receive(deadline)
            if isinstance(primitive, N_EVENT_REPORT) and primitive.is_valid_request:
                self._report(primitive, context)
            elif primitive.MessageIDBeingRespondedTo == message_id:
                if not isinstance(primitive, expected) or not primitive.is_valid_response:
                    raise AssociationLostError("unreadable message")
                return primitive, context

    def serve(self) -> None:
        """Answers what the peer has sent by itself: its N-EVENT-REPORTs. AssociationLostError when it has released or gone."""
        if not self._connection.has_news:
            return
        primitive, context = self._receive(self._answer_deadline())
        if isinstance(primitive, N_EVENT_REPORT) and primitive.is_valid_request:
            self._report(primitive, context)

    def release(self) -> None:
        """Politely, but not for long; and closes."""
        try:
            deadline = time.monotonic() + min(_FAREWELL_SECONDS, self._settings.response_seconds)
            self._connection.write(_RELEASE, deadline)
            while self._read_pdu(deadline)[0] not in (_RELEASE_RP, _ABORT):
                continue
        except (AssociationLostError, NoResponseError):
            pass
        finally:
            self._connection.close()

    def abort(self) -> None:
        """Says so if the peer takes it at once; and closes."""
        try:
            self._connection.write(_ABORTED, time.monotonic() + 0.1)
        except (AssociationLostError, NoResponseError):
            pass
        finally:
            self._connection.close()

    def _answer_deadline(self) -> float:
        return time.monotonic() + self._settings.response_seconds

    def _asking(self, proposed: list[PresentationContext]) -> A_ASSOCIATE:
        length, uid, version = MaximumLengthNotification(), ImplementationClassUIDNotification(), ImplementationVersionNameNotification()
        length.maximum_length_received = _MAX_PDU
        uid.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        asking = A_ASSOCIATE()
        asking.application_context_name = "1.2.840.10008.3.1.1.1"
        asking.calling_ae_title, asking.called_ae_title = self._destination.calling_ae_title, self._destination.ae_title
        asking.presentation_context_definition_list = proposed
        asking.user_information = [length, uid, version]
        return asking

    def _take(self, content: bytes, proposed: dict[int, str]) -> None:
        with readable("answer"):
            pdu = A_ASSOCIATE_AC()
            pdu.decode(content)
            answer = pdu.to_primitive()
            results = answer.presentation_context_definition_results_list
            taken = {int(c.context_id): str(c.transfer_syntax[0]) for c in results if c.result == 0}
            self._max_pdu = max(_MIN_PDU, min(answer.maximum_length_received or _MAX_PDU, _MAX_PDU))
        if not any(int(context.context_id) in proposed for context in results):
            raise AssociationLostError("no answer to any context")
        self._accepted = {uid: Accepted(number, taken[number]) for number, uid in proposed.items() if number in taken}

    def _receive(self, deadline: float) -> tuple[Any, int]:
        message, size = DIMSEMessage(), 0
        while True:
            kind, content = self._read_pdu(deadline)
            size += len(content)
            if size > _MAX_ANSWER:
                raise AssociationLostError("message too long")
            if kind == _RELEASE_RQ:
                self._connection.write(_RELEASED, deadline)
            if kind != _P_DATA:
                raise AssociationLostError("released" if kind == _RELEASE_RQ else "aborted")
            with readable("message"):
                pdu = P_DATA_TF()
                pdu.decode(content)
                if message.decode_msg(pdu.to_primitive()):
                    return message.message_to_primitive(), int(message.context_id)

    def _report(self, primitive: Any, context: int) -> None:
        syntax = next((accepted.transfer_syntax_uid for accepted in self._accepted.values() if accepted.number == context), "")
        with readable("message"):
            message, response = self._on_report(primitive, syntax)
            message.primitive_to_message(response)
        for part in message.encode_msg(context, self._max_pdu):
            self._connection.write(P_DATA_TF(part).encode(), self._answer_deadline())

    def _read_pdu(self, deadline: float) -> tuple[int, bytes]:
        head = self._connection.read(_HEAD.size, deadline)
        kind, _, length = _HEAD.unpack(head)
        if length > _MAX_ANSWER:
            raise AssociationLostError("PDU too long")
        return kind, head + self._connection.read(length, deadline)


@contextmanager
def readable(what: str) -> Iterator[None]:
    """The edge to the codecs: pynetdicom's and pydicom's raise whatever Python does over a peer's bytes. AssociationLostError instead."""
    try:
        yield
    except DestinationError:
        raise
    except Exception as error:
        raise AssociationLostError(f"unreadable {what}") from error


def _rejection(content: bytes) -> DestinationError:
    with readable("rejection"):
        pdu = A_ASSOCIATE_RJ()
        pdu.decode(content)
        said = _REJECTIONS.get((int(pdu.source), int(pdu.reason_diagnostic)), "no_reason_given")
        return AssociationRejectedError(said) if pdu.result == _REJECTED_PERMANENT else AssociationRejectedTransientError(said)
