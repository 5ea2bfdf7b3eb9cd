"""P-DATA-TF fragments -> DIMSE messages (PS3.8 9.3.5, annex E), straight from the receive buffer into the data set."""

from __future__ import annotations

import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from pynetdicom.pdu_primitives import P_DATA

from gateway.errors import PeerLimitError
from gateway.receive.command_set import read_command
from gateway.receive.limits import Cut, Limits
from gateway.receive.memory import ReceivedDataSet, Reservation
from gateway.receive.transport import Transport

_ITEM: Final = struct.Struct(">LBB")
"""Item length, presentation context id, message control header; the length counts the latter two."""
_COMMAND: Final = 0b01
_LAST: Final = 0b10


class MessageAssembly:
    """Of one association, in its upper layer's thread. At most one message is in the making.

    reserve: a place in the memory budget for a message.
    on_message: called just before pynetdicom hands a whole message to its service.
    is_over: true once the association is ending: waiting for memory is then given up.
    takes_reports: whether a presentation context, by its number, is that of storage commitment.
    """

    def __init__(
        self,
        dimse: Any,
        limits: Limits,
        reserve: Callable[[], Reservation],
        *,
        on_message: Callable[[], None],
        is_over: Callable[[], bool],
        takes_reports: Callable[[int | None], bool] = lambda _context: False,
    ) -> None:
        self._dimse = dimse
        self._limits = limits
        self._reserve = reserve
        self._on_message = on_message
        self._is_over = is_over
        self._takes_reports = takes_reports
        self._context: int | None = None
        """Of the message in the making."""
        self._command = bytearray()
        self._content: ReceivedDataSet | None = None
        self._size = 0
        self._began = 0.0
        self._handed_over: deque[ReceivedDataSet | None] = deque()
        """One of each message that is not answered yet, in their order; None = it has no data set."""

    def receive(self, transport: Transport, length: int, deadline: float) -> None:
        """Takes the `length` bytes of a P-DATA-TF's variable field from the transport. PeerLimitError names what was wrong."""
        while length:
            if length < _ITEM.size:
                raise PeerLimitError(Cut.FRAGMENTS)
            item_length, context, control = _ITEM.unpack(transport.take(_ITEM.size, deadline))
            size = item_length - 2
            length -= _ITEM.size + size
            if size < 0 or length < 0:
                raise PeerLimitError(Cut.FRAGMENTS)
            self._belongs(context)
            if control & _COMMAND:
                self._receive_command(transport.take(size, deadline), is_last=bool(control & _LAST))
            else:
                deadline += self._make_room(size)
                self._receive_content(transport, size, deadline)
                if control & _LAST:
                    self._finish(_LAST, b"")

    def drop(self) -> None:
        """The message in the making will not be finished."""
        if self._content is not None:
            self._content.drop()
            self._content = None

    def drop_answered(self) -> None:
        """The oldest message that was handed over is done with. Called by the association's thread, as is the next."""
        content = self._handed_over.popleft() if self._handed_over else None
        if content is not None:
            content.drop()

    def drop_handed_over(self) -> None:
        """The association is over: also for what pynetdicom has given to no service."""
        while self._handed_over:
            self.drop_answered()

    def _belongs(self, context: int) -> None:
        if self._context is None:
            self._context, self._began = context, time.monotonic()
        elif context != self._context:
            raise PeerLimitError(Cut.FRAGMENTS)
        elif time.monotonic() - self._began > self._limits.message_seconds:
            raise PeerLimitError(Cut.MESSAGE_DEADLINE)

    def _receive_command(self, part: bytes, *, is_last: bool) -> None:
        if self._content is not None:
            raise PeerLimitError(Cut.FRAGMENTS)
        self._command += part
        if len(self._command) > self._limits.command:
            raise PeerLimitError(Cut.COMMAND)
        if not is_last:
            return
        command = bytes(self._command)
        self._command.clear()
        if read_command(command, takes_reports=self._takes_reports(self._context)).has_data_set:
            self._hand_over(_COMMAND | _LAST, command, is_whole=False)
            self._content = self._dimse.message.data_set = ReceivedDataSet(self._reserve())
            self._size = 0
        else:
            self._finish(_COMMAND | _LAST, command)

    def _make_room(self, size: int) -> float:
        """Memory for so many bytes more; returns the seconds that the peer had to wait for it."""
        if self._content is None:
            raise PeerLimitError(Cut.FRAGMENTS)
        self._size += size
        if self._size > 2 * self._limits.message:
            raise PeerLimitError(Cut.MESSAGE_TOO_LONG)
        if self._size > self._limits.message and not self._content.is_too_long:
            # the rest is read and dropped, so that the message can be answered and its siblings still be stored
            self._content.forget()
        if self._content.is_too_long:
            return 0.0
        asked = time.monotonic()
        if not self._content.reservation.cover(self._size, self._began + self._limits.message_seconds, self._is_over):
            raise PeerLimitError(Cut.MEMORY_WAIT)
        return time.monotonic() - asked

    def _receive_content(self, transport: Transport, size: int, deadline: float) -> None:
        content = self._content
        transport.expect_much()
        while size:
            part = transport.take_some(size, deadline)
            size -= len(part)
            if content is not None and not content.is_too_long:
                content.write(part)

    def _finish(self, control: int, part: bytes) -> None:
        # before pynetdicom has it: the association's thread may have answered it before that call returns
        self._handed_over.append(self._content)
        self._content = None
        self._on_message()
        self._hand_over(control, part, is_whole=True)
        self._context = None

    def _hand_over(self, control: int, part: bytes, *, is_whole: bool) -> None:
        primitive = P_DATA()
        primitive.presentation_data_value_list = [[self._context, bytes([control]) + part]]
        try:
            self._dimse.receive_primitive(primitive)
        except Exception as error:  # pynetdicom's decoders raise whatever Python does
            raise PeerLimitError(Cut.COMMAND) from error
        if (self._dimse.message is None) != is_whole:
            # it read another command than we did, or none: the message would never be answered
            raise PeerLimitError(Cut.COMMAND)
