"""The upper layer's loop (PS3.8) of one connection: waits for events, reads within limits, holds back what cannot be taken."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from pynetdicom.dul import DULServiceProvider

from gateway.dicom.uids import STORAGE_COMMITMENT
from gateway.errors import PeerLimitError
from gateway.events import Event, log_event
from gateway.receive.limits import Cut, Limits
from gateway.receive.memory import MemoryBudget, Reservation
from gateway.receive.message_assembly import MessageAssembly
from gateway.receive.transport import Transport
from gateway.receive.waking import MonotonicTimer

_HEAD: Final = struct.Struct(">BBL")
_P_DATA_TF: Final = 0x04
_PDU_TYPES: Final = range(0x01, 0x08)
_FIRST_PDU_TYPES: Final = (0x01, 0x07)
"""A-ASSOCIATE-RQ and A-ABORT: all that a peer may begin with."""
_AWAITING: Final = "Sta2"
_CLOSED: Final = "Evt17"
_INVALID_PDU: Final = "Evt19"
_ARTIM_EXPIRED: Final = "Evt18"
_OPEN: Final = "Sta6"
_CLOSING: Final = "Sta13"


class UpperLayer(DULServiceProvider):  # type: ignore[misc]
    """pynetdicom's provider with a loop that sleeps until the socket, the own side or a timer has something.

    on_activity: something happened that the association's thread may want to see.
    on_cut: the peer went beyond a limit.
    """

    def __init__(
        self,
        association: Any,
        limits: Limits,
        memory: MemoryBudget,
        *,
        on_activity: Callable[[], None],
        on_cut: Callable[[Cut], None],
    ) -> None:
        super().__init__(association)
        self.daemon = True
        self._limits = limits
        self._on_activity = on_activity
        self._on_cut = on_cut
        self._memory = memory
        self._idle_timer = MonotonicTimer(60)
        self.artim_timer = MonotonicTimer(30)
        self._assembly = MessageAssembly(
            association.dimse,
            limits,
            self._reserve,
            on_message=self._count_message,
            is_over=lambda: self.is_over,
            takes_reports=self._is_of_commitment,
        )
        self._unanswered = 0
        self._is_reading = False
        self._lock = threading.Lock()

    @property
    def transport(self) -> Transport:
        found: Transport = self.socket
        return found

    def send_pdu(self, primitive: Any) -> None:
        super().send_pdu(primitive)
        self.transport.waker.wake()

    def kill_dul(self) -> None:
        super().kill_dul()
        self.transport.waker.wake()

    def message_answered(self) -> None:
        """Its memory is given back, and the peer may send the next one."""
        self._assembly.drop_answered()
        with self._lock:
            self._unanswered -= 1
        self._idle_timer.restart()
        self.transport.waker.wake()

    def drop_messages(self) -> None:
        """Gives back the memory of all messages that were handed over; nobody reads them any more."""
        self._assembly.drop_handed_over()

    @property
    def seconds_until_idle(self) -> float | None:
        """None = no limit. While we serve it, or read a PDU (which has a deadline of its own), the peer is not idle."""
        busy = self._unanswered or self._is_reading
        return self._idle_timer.timeout if busy else self._idle_timer.left

    @property
    def is_over(self) -> bool:
        return bool(self._kill_thread)

    def end(self, seconds: float) -> None:
        """Waits for the loop's end; after so many seconds the connection is cut."""
        if self.ident is None or threading.current_thread() is self:
            self._kill_thread = True
            return
        self.join(seconds)
        if self.is_alive():
            self.kill_dul()
            self.transport.shut()
            self.join(seconds)

    def run_reactor(self) -> None:
        self._idle_timer.start()
        self.assoc._dul_ready.set()  # noqa: SLF001  pynetdicom's own loop does this
        try:
            while not self._kill_thread:
                if not self._step():
                    self.transport.wait(reading=self._may_read, seconds=self.artim_timer.left)
                self._on_activity()
        except Exception as error:  # noqa: BLE001  the edge of a thread: a bug costs this connection
            log_event(Event.CONNECTION_CUT, level="error", error_class=type(error).__name__)
            self._on_cut(Cut.INTERNAL)
        finally:
            self._kill_thread = True
            self._assembly.drop()
            self.transport.shut()
            self._on_activity()

    def _step(self) -> bool:
        """Does one thing; False when there was nothing to do."""
        if self.artim_timer.expired:
            self.artim_timer.stop()
            self.event_queue.put(_ARTIM_EXPIRED)
        if self.event_queue.qsize():
            self.state_machine.do_action(self.event_queue.get(block=False))
            return True
        if self.state_machine.current_state == _CLOSING:
            self.transport.discard_received()
            self.transport.close()
            return True
        if self._process_recv_primitive():
            return True
        return self._may_read and self._read()

    @property
    def _may_read(self) -> bool:
        """A message that waits for its answer holds back all that the peer sends after it."""
        return self._unanswered == 0

    def _reserve(self) -> Reservation:
        return self._memory.reservation(str(self.assoc.requestor.address))

    def _is_of_commitment(self, context_id: int | None) -> bool:
        context = self.assoc._accepted_cx.get(context_id)  # noqa: SLF001  the public list would be searched
        return context is not None and context.abstract_syntax == STORAGE_COMMITMENT

    def _count_message(self) -> None:
        with self._lock:
            self._unanswered += 1

    def _read(self) -> bool:
        try:
            if not self.transport.begin():
                return False
            self._is_reading = True
            self._read_pdu_data()
        except OSError:
            self.event_queue.put(_CLOSED)
        except PeerLimitError as error:
            self._on_cut(Cut(error.detail))
            # pynetdicom may have told it itself, of a message that it could not read: one A-ABORT is enough
            if _INVALID_PDU not in self.event_queue.queue:
                self.event_queue.put(_INVALID_PDU)
        self._idle_timer.restart()
        self._is_reading = False
        return True

    def _read_pdu_data(self) -> None:
        deadline = time.monotonic() + self._limits.pdu_seconds
        head = self.transport.take(_HEAD.size, deadline)
        kind, _, length = _HEAD.unpack(head)
        if kind not in _PDU_TYPES:
            raise PeerLimitError(Cut.NOT_DICOM)
        if self.state_machine.current_state == _AWAITING and kind not in _FIRST_PDU_TYPES:
            raise PeerLimitError(Cut.NOT_DICOM)
        is_open = self.state_machine.current_state == _OPEN
        if length > (self._limits.pdu if is_open and kind == _P_DATA_TF else self._limits.first_pdu):
            raise PeerLimitError(Cut.PDU_TOO_LONG)
        if is_open and kind == _P_DATA_TF:
            # what the state machine's action for it (DT-2) does, without a copy of the PDU
            self._assembly.receive(self.transport, length, deadline)
            return
        content = bytearray(head + self.transport.take(length, deadline))
        try:
            pdu, event = self._decode_pdu(content)
            # the state machine's action would fail on it, and leave the peer without an answer
            pdu.to_primitive()
        except Exception as error:  # pynetdicom's decoders raise whatever Python does
            raise PeerLimitError(Cut.PDU_UNREADABLE) from error
        self._recv_pdu.put(pdu)
        self.event_queue.put(event)
