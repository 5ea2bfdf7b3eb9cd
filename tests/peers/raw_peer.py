"""A peer that speaks bytes: DICOM upper layer PDUs by hand, whole, broken or never ending (PS3.8 9.3)."""

from __future__ import annotations

import socket
import ssl
import struct
import warnings
from collections.abc import Iterable
from io import BytesIO
from typing import Self

from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification

DX = "1.2.840.10008.5.1.4.1.1.1.1"
VERIFICATION = "1.2.840.10008.1.1"
ACCEPT, REJECT, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = 2, 3, 4, 5, 6, 7
COMMAND, LAST = 1, 2
DX_CONTEXT, ECHO_CONTEXT = 1, 3
STALLED = b"\x01\x00"
"""The beginning of a PDU."""


def pdu(kind: int, content: bytes, *, claims: int | None = None) -> bytes:
    """A PDU; `claims` is the length that its head tells, if not the true one."""
    return struct.pack(">BBL", kind, 0, len(content) if claims is None else claims) + content


def fragment(control: int, content: bytes = b"", *, context: int = DX_CONTEXT) -> bytes:
    """A presentation data value item."""
    return struct.pack(">LBB", len(content) + 2, context, control) + content


def association_request(*, called: str = "STRNET", calling: str = "RAWPEER") -> bytes:
    contexts = [build_context(DX, ExplicitVRLittleEndian), build_context(VERIFICATION)]
    for number, context in zip((DX_CONTEXT, ECHO_CONTEXT), contexts, strict=True):
        context.context_id = number
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received, implementation.implementation_class_uid = 16384, "1.2.3"
    request = A_ASSOCIATE()
    request.application_context_name = "1.2.840.10008.3.1.1.1"
    request.calling_ae_title, request.called_ae_title = calling, called
    request.presentation_context_definition_list = contexts
    request.user_information = [length, implementation]
    return A_ASSOCIATE_RQ(request).encode()


def store_command(uid: str = "1.2.3.1", message_id: int = 1) -> bytes:
    """An encoded C-STORE-RQ command set."""
    with warnings.catch_warnings():
        # UIDs that are none are sent on purpose
        warnings.simplefilter("ignore")
        return _store_command(uid, message_id)


def _store_command(uid: str, message_id: int) -> bytes:
    request = C_STORE()
    request.MessageID, request.Priority = message_id, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = DX, uid
    request.DataSet = BytesIO(b"x")
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    items = [item for part in message.encode_msg(1, 0) for item in part.presentation_data_value_list]
    return b"".join(value[1:] for _, value in items if value[0] & COMMAND)


def echo_command() -> bytes:
    request = C_ECHO()
    request.MessageID, request.AffectedSOPClassUID = 1, VERIFICATION
    message = C_ECHO_RQ()
    message.primitive_to_message(request)
    (part,) = message.encode_msg(1, 0)
    return part.presentation_data_value_list[0][1][1:]


def echo_request() -> bytes:
    return pdu(P_DATA, fragment(COMMAND | LAST, echo_command(), context=ECHO_CONTEXT))


def store_request(content: bytes, uid: str, *, message_id: int = 1, size: int = 65536) -> Iterable[bytes]:
    """A whole C-STORE request as PDUs."""
    yield pdu(P_DATA, fragment(COMMAND | LAST, store_command(uid, message_id)))
    for start in range(0, len(content), size):
        part = content[start : start + size]
        yield pdu(P_DATA, fragment(LAST if start + size >= len(content) else 0, part))


class RawPeer:
    """One TCP connection to a receiver on 127.0.0.1. Everything it waits for is bounded."""

    def __init__(self, port: int, *, source: str = "127.0.0.1", tls: ssl.SSLContext | None = None, seconds: float = 30) -> None:
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds, source_address=(source, 0))
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, content: bytes) -> None:
        """Sends as far as the receiver takes it; one that has closed is seen by read()."""
        try:
            self.socket.sendall(content)
        except (ConnectionError, ssl.SSLError):
            return

    def read(self) -> tuple[int, bytes] | None:
        """The next PDU's type and content; None when the receiver has closed."""
        head = self._exactly(6)
        if head is None:
            return None
        kind, _, length = struct.unpack(">BBL", head)
        content = self._exactly(length)
        return None if content is None else (kind, content)

    def associate(self, **titles: str) -> int | None:
        """The type of the answer's PDU."""
        self.send(association_request(**titles))
        answer = self.read()
        return answer[0] if answer else None

    def until_closed(self) -> list[int]:
        """The types of what is still sent before the receiver closes. TimeoutError when it does not."""
        kinds = []
        while (answer := self.read()) is not None:
            kinds.append(answer[0])
        return kinds

    def status(self) -> int | None:
        """Status (0000,0900) of the next response; None when there is none."""
        answer = self.read()
        if answer is None or answer[0] != P_DATA:
            return None
        command = answer[1][6:]
        position = 0
        while position < len(command):
            group, element, length = struct.unpack_from("<HHL", command, position)
            if (group, element) == (0, 0x0900):
                return int(struct.unpack_from("<H", command, position + 8)[0])
            position += 8 + length
        return None

    def _exactly(self, count: int) -> bytes | None:
        received = b""
        while len(received) < count:
            try:
                part = self.socket.recv(count - len(received))
            except (ConnectionError, ssl.SSLError):
                return None
            if not part:
                return None
            received += part
        return received
