"""pynetdicom's association with a loop that waits for events, and an end that always comes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from pynetdicom import evt
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE, N_EVENT_REPORT
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.service_class_n import StorageCommitmentServiceClass

from gateway.dicom.uids import STORAGE_COMMITMENT
from gateway.events import Event, log_event
from gateway.receive.limits import Cut, Limits
from gateway.receive.memory import MemoryBudget
from gateway.receive.upper_layer import UpperLayer

_SERVICE_PROVIDER: Final = 0x02
"""Source of an A-ABORT (PS3.8 9.3.8)."""
_TEMPORARY_CONGESTION: Final = (0x02, 0x03, 0x01)
"""Result, source, reason of an A-ASSOCIATE-RJ (PS3.8 9.3.4): the sender may try again."""
_GRACE_SECONDS: Final = 5.0
"""After the time that a PDU may take."""


class ReceiverAssociation(Association):  # type: ignore[misc]
    """As acceptor. on_cut: the peer went beyond a limit; on_end: its connection is closed and its threads are done."""

    def __init__(
        self,
        ae: Any,
        limits: Limits,
        memory: MemoryBudget,
        *,
        is_self_check: bool,
        on_cut: Callable[[Cut], None],
        on_end: Callable[[], None],
    ) -> None:
        super().__init__(ae, MODE_ACCEPTOR)
        self._limits = limits
        self._on_cut = on_cut
        self._on_end = on_end
        self.is_self_check = is_self_check
        self._activity = threading.Event()
        self.dul = UpperLayer(self, limits, memory, on_activity=self._notice, on_cut=on_cut)
        # pynetdicom has set them in the provider that was just replaced
        self.acse_timeout = self.ae.acse_timeout
        self.network_timeout = self.ae.network_timeout

    @property
    def counts(self) -> bool:
        """True from the request for an association to the end of its connection: one that asks for nothing keeps nobody out."""
        is_asked_for = self.requestor.primitive is not None and not self.is_rejected
        return is_asked_for and not self.is_self_check and not self.dul.is_over

    def kill(self) -> None:
        """Ends the association and waits until its connection is closed."""
        self._reactor_checkpoint.set()
        self._kill = True
        self.is_established = False
        self._is_paused = True
        self._activity.set()
        self.dul.end(self._limits.pdu_seconds + _GRACE_SECONDS)

    def run_reactor(self) -> None:
        try:
            self._accept()
        except Exception as error:  # noqa: BLE001  the edge of a thread: a bug costs this association
            self._tell(error)
        finally:
            self._finish()

    def _accept(self) -> None:
        """As pynetdicom's own acceptor does, but a peer that leaves before its request is not waited for."""
        self.dul.start()
        self._started_dul = True
        request = self._await_request()
        if not isinstance(request, A_ASSOCIATE):
            return
        self.requestor.primitive = request
        self._ask_handlers()
        if not self.is_aborted and not self.is_rejected:
            self._negotiate()
        if self.is_established:
            self._run_reactor()

    def _ask_handlers(self) -> None:
        """As evt.trigger() does; but that takes a handler that fails for one that agrees, and nobody may come in by a failure."""
        try:
            for handler, arguments in self.get_handlers(evt.EVT_REQUESTED):
                handler(evt.Event(self, evt.EVT_REQUESTED), *(arguments or ()))
        except Exception as error:  # noqa: BLE001  the edge of a thread: a bug costs this association
            self._tell(error)
            if not self.is_rejected:
                self.acse.send_reject(*_TEMPORARY_CONGESTION)

    def _tell(self, error: Exception) -> None:
        log_event(Event.CONNECTION_CUT, level="error", error_class=type(error).__name__)
        self._on_cut(Cut.INTERNAL)

    def _negotiate(self) -> None:
        try:
            self.acse.negotiate_association()
        except (AttributeError, LookupError, TypeError, ValueError):
            # items are missing in the request or contradict each other: pynetdicom finds out as it goes
            self._refuse(Cut.PDU_UNREADABLE)

    def _refuse(self, reason: Cut) -> None:
        self._on_cut(reason)
        self.acse.send_abort(_SERVICE_PROVIDER)

    def _await_request(self) -> Any:
        deadline = time.monotonic() + self.acse_timeout
        while not self.dul.to_user_queue.qsize() and not self.dul.is_over and (left := deadline - time.monotonic()) > 0:
            self._activity.wait(left)
            self._activity.clear()
        return self.dul.receive_pdu(wait=False)

    def _notice(self) -> None:
        """Called by the upper layer. Wakes our thread only for what it would act on."""
        if self.dimse.msg_queue.qsize() or self.dul.to_user_queue.qsize() or self.dul.is_over:
            self._activity.set()

    def _run_reactor(self) -> None:
        self._is_paused = False
        while not self._kill:
            self._is_paused = True
            self._reactor_checkpoint.wait()
            self._is_paused = False
            self._activity.clear()
            served = self._serve_next()
            if self._has_ended():
                return
            if not served:
                self._activity.wait(self.dul.seconds_until_idle)

    def _serve_next(self) -> bool:
        context_id, message = self.dimse.get_msg(block=False)
        if message is None:
            return False
        try:
            self._serve(message, context_id)
        finally:
            self.dul.message_answered()
        return True

    def _serve(self, message: Any, context_id: int) -> None:
        if not message.is_valid_request:
            # pynetdicom would leave it without an answer
            self._refuse(Cut.COMMAND)
        elif isinstance(message, N_EVENT_REPORT):
            self._serve_report(message, context_id)
        elif isinstance(message, C_STORE) and context_id in self._accepted_cx:
            # pynetdicom asks the command's SOP class, and aborts the association when it does not know it: that must cost one instance
            StorageServiceClass(self).SCP(message, self._accepted_cx[context_id])
        else:
            self._serve_request(message, context_id)

    def _serve_request(self, msg: Any, context_id: int) -> None:
        """pynetdicom starts a thread with this for an N-EVENT-REPORT; here it waits its turn like every other message."""
        if isinstance(msg, N_EVENT_REPORT):
            self.dimse.msg_queue.put((context_id, msg))
            self._activity.set()
        else:
            super()._serve_request(msg, context_id)

    def _serve_report(self, message: Any, context_id: int) -> None:
        """Only of storage commitment, whatever class the command names."""
        context = self._accepted_cx.get(context_id)
        if context is None or context.abstract_syntax != STORAGE_COMMITMENT:
            self._refuse(Cut.COMMAND)
        else:
            StorageCommitmentServiceClass(self).SCP(message, context)

    def _has_ended(self) -> bool:
        """The checks of pynetdicom's own loop, in its order."""
        if self.is_established and self.acse.is_release_requested():
            self.acse.send_release(is_response=True)
            self.is_released = True
            self.is_established = False
            evt.trigger(self, evt.EVT_RELEASED, {})
        elif self.acse.is_aborted():
            self.dul.receive_pdu(wait=False)
            self.is_aborted = True
            self.is_established = False
            evt.trigger(self, evt.EVT_ABORTED, {})
        elif not self.dul.is_over:
            left = self.dul.seconds_until_idle
            if left is None or left > 0:
                return False
            self.abort()
        self.kill()
        return True

    def _finish(self) -> None:
        try:
            self.kill()
            # pynetdicom tells it on most ways, not on all
            evt.trigger(self, evt.EVT_CONN_CLOSE, {"address": self.requestor.address_info.as_tuple})
        finally:
            self.dul.drop_messages()
            self.dul.transport.end()
            self._on_end()
