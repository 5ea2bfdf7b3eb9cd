"""The receiver calls itself, over the accept loop that everybody else comes through, and notices when nobody answers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Final

from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom._globals import APPLICATION_CONTEXT_NAME
from pynetdicom.pdu import A_ASSOCIATE_RQ, A_RELEASE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, A_RELEASE, ImplementationClassUIDNotification, MaximumLengthNotification

from gateway.dicom.uids import IMPLEMENTATION_CLASS_UID
from gateway.receive.listener import Listener

_FAILURES: Final = 3
_ANSWER_SECONDS: Final = 10.0
_VERIFICATION: Final = "1.2.840.10008.1.1"
_ACCEPTED: Final = 0x02
_RELEASED: Final = 0x06
_HEAD: Final = 6


class SelfCheck:
    """Opens and releases an association with the listener every `seconds`. on_stuck: several in a row were not answered.

    These associations cost no peer a place and reach no handler: they are in neither log nor audit.
    """

    def __init__(
        self,
        listener: Listener,
        *,
        ae_title: str,
        seconds: float,
        on_stuck: Callable[[], None],
        answer_seconds: float = _ANSWER_SECONDS,
    ) -> None:
        self._listener = listener
        self._seconds = seconds
        self._answer_seconds = answer_seconds
        self._on_stuck = on_stuck
        self._request = _association_request(ae_title)
        self._release = A_RELEASE_RQ(A_RELEASE()).encode()
        self.failures = 0
        """Calls in a row that were not answered."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="self-check", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def call(self) -> bool:
        """One association with ourselves: True when it was accepted and released in time."""
        address = self._listener.own_call_address
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as caller:
            caller.settimeout(self._answer_seconds)
            own_address = None
            try:
                # bound first, so that the listener knows whose call it is before it comes
                caller.bind((address[0], 0))
                own_address = caller.getsockname()
                self._listener.expect_own_call(own_address)
                caller.connect(address)
                return self._talk(caller)
            except OSError:
                return False
            finally:
                if own_address is not None:
                    self._listener.forget_own_call(own_address)

    def _talk(self, caller: socket.socket) -> bool:
        deadline = time.monotonic() + self._answer_seconds
        for said, expected in ((self._request, _ACCEPTED), (self._release, _RELEASED)):
            caller.sendall(said)
            head = _read(caller, _HEAD, deadline)
            _read(caller, int.from_bytes(head[2:], "big"), deadline)
            if head[0] != expected:
                return False
        return True

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self.failures = 0 if self.call() else self.failures + 1
            if self.failures >= _FAILURES and not self._stop.is_set():
                self._on_stuck()
                return


def _read(caller: socket.socket, count: int, deadline: float) -> bytes:
    received = b""
    while len(received) < count:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        caller.settimeout(left)
        part = caller.recv(count - len(received))
        if not part:
            raise ConnectionResetError
        received += part
    return received


def _association_request(ae_title: str) -> bytes:
    """An A-ASSOCIATE-RQ PDU (PS3.8 9.3.2) that asks ourselves for verification."""
    context = build_context(_VERIFICATION, ImplicitVRLittleEndian)
    context.context_id = 1
    length = MaximumLengthNotification()
    length.maximum_length_received = 16384
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    request = A_ASSOCIATE()
    request.application_context_name = APPLICATION_CONTEXT_NAME
    request.calling_ae_title = request.called_ae_title = ae_title
    request.presentation_context_definition_list = [context]
    request.user_information = [length, implementation]
    encoded: bytes = A_ASSOCIATE_RQ(request).encode()
    return encoded
