"""A destination that speaks bytes: it accepts an association, and then does what no PACS should."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from pynetdicom.dimse_messages import C_ECHO_RSP, C_STORE_RSP, DIMSEMessage
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ, P_DATA_TF
from pynetdicom.presentation import build_context, negotiate_as_acceptor

Behaviour = Callable[["Visitor"], None]


class Visitor:
    """One connection, as the destination sees it."""

    def __init__(self, connection: socket.socket, ended: threading.Event) -> None:
        self.socket = connection
        self.contexts: dict[str, int] = {}
        """Number of each presentation context that was accepted, by abstract syntax."""
        self.ended = ended
        """Set when the test is over: what stays silent on purpose waits for it."""

    def read(self) -> tuple[int, bytes]:
        """The next PDU, whole; ConnectionError when the visitor has gone."""
        head = self._exactly(6)
        kind, _, length = struct.unpack(">BBL", head)
        return kind, head + self._exactly(length)

    def accept(self, *, only: set[str] | None = None, syntax: str | None = None) -> None:
        """Answers A-ASSOCIATE-RQ; only: the abstract syntaxes that are taken, by default all; syntax: the one transfer syntax, by default any."""
        _, content = self.read()
        request = A_ASSOCIATE_RQ()
        request.decode(content)
        asked = request.to_primitive()
        proposed = asked.presentation_context_definition_list
        taken = [c for c in proposed if only is None or str(c.abstract_syntax) in only]
        if syntax is not None:
            taken = [build_context(str(c.abstract_syntax), syntax) for c in taken]
        contexts, _ = negotiate_as_acceptor(proposed, taken)
        asked.presentation_context_definition_results_list = contexts
        asked.result, asked.result_source = 0, 1
        self.contexts = {str(c.abstract_syntax): int(c.context_id) for c in contexts if c.result == 0}
        self.socket.sendall(A_ASSOCIATE_AC(asked).encode())

    def request(self) -> Any:
        """The next DIMSE message's primitive."""
        message = DIMSEMessage()
        while True:
            kind, content = self.read()
            if kind != 4:
                raise ConnectionError(f"PDU {kind}")
            pdu = P_DATA_TF()
            pdu.decode(content)
            if message.decode_msg(pdu.to_primitive()):
                self.context = message.context_id
                return message.message_to_primitive()

    def answer(self, request: Any, status: int, *, message_id: int | None = None) -> None:
        """A C-STORE-RSP."""
        response = C_STORE()
        response.MessageIDBeingRespondedTo = request.MessageID if message_id is None else message_id
        response.AffectedSOPClassUID, response.AffectedSOPInstanceUID = request.AffectedSOPClassUID, request.AffectedSOPInstanceUID
        response.Status = status
        message = C_STORE_RSP()
        message.primitive_to_message(response)
        self.say(message)

    def echo(self, request: Any, status: int = 0x0000) -> None:
        """A C-ECHO-RSP."""
        response = C_ECHO()
        response.MessageIDBeingRespondedTo, response.AffectedSOPClassUID = request.MessageID, request.AffectedSOPClassUID
        response.Status = status
        message = C_ECHO_RSP()
        message.primitive_to_message(response)
        self.say(message)

    def say(self, message: DIMSEMessage, context: int | None = None) -> None:
        """As it is. context: by default that of the last request."""
        for part in message.encode_msg(self.context if context is None else context, 16384):
            self.socket.sendall(P_DATA_TF(part).encode())

    def reject(self) -> None:
        """Answers A-ASSOCIATE-RQ with a transient rejection: local limit exceeded."""
        self.read()
        self.socket.sendall(struct.pack(">BBLBBBB", 3, 0, 4, 0, 2, 3, 2))

    def abort(self) -> None:
        self.socket.sendall(struct.pack(">BBLBBBB", 7, 0, 4, 0, 0, 2, 0))

    def release(self) -> None:
        """Answers A-RELEASE-RQ."""
        self.socket.sendall(struct.pack(">BBLL", 6, 0, 4, 0))

    def _exactly(self, count: int) -> bytes:
        received = b""
        while len(received) < count:
            part = self.socket.recv(count - len(received))
            if not part:
                raise ConnectionError
            received += part
        return received


class RawScp:
    """Listens on 127.0.0.1, on a free port unless one is given; every connection is handed to the behaviour, in a thread of its own."""

    def __init__(self, behaviour: Behaviour, *, receive_buffer: int = 4096, port: int = 0) -> None:
        self._behaviour = behaviour
        self._ended = threading.Event()
        self.connections = 0
        self._open: list[socket.socket] = []
        self._listener = socket.socket()
        # a small one: a peer that does not read is felt after some kilobytes
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", port))
        self._listener.listen(16)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            # what it says has arrived when the call returns: Nagle's algorithm would hold a PDU that follows another one
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._visit, args=(connection,), daemon=True).start()

    def _visit(self, connection: socket.socket) -> None:
        with suppress(OSError):
            self._behaviour(Visitor(connection, self._ended))
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def stops_reading(visitor: Visitor) -> None:
    visitor.accept()
    visitor.ended.wait()


def answers_nothing(visitor: Visitor) -> None:
    visitor.accept()
    visitor.request()
    visitor.ended.wait()


def trickles_its_answer(visitor: Visitor) -> None:
    visitor.accept()
    visitor.request()
    while not visitor.ended.wait(0.1):
        visitor.socket.sendall(b"\x04")
