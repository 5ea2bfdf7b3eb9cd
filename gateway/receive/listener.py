"""The listening socket: takes connections as long as there is room, and hands each to a thread of its own at once."""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from typing import Any, Final

from pynetdicom import evt
from pynetdicom.transport import AddressInformation, AssociationServer

from gateway.errors import PeerLimitError
from gateway.events import Event, log_event
from gateway.receive.association import ReceiverAssociation
from gateway.receive.counts import Counts
from gateway.receive.handshake import secure, set_options
from gateway.receive.limits import Cut, Limits
from gateway.receive.memory import MemoryBudget
from gateway.receive.peer_watch import PeerWatch
from gateway.receive.tls import refusal_reason
from gateway.receive.transport import Transport
from gateway.receive.waking import Waker, wait_for

_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_BREATH_SECONDS: Final = 0.1

Address = tuple[Any, ...]


class Listener(AssociationServer):  # type: ignore[misc]
    """pynetdicom's server with an accept loop that a peer can neither block nor make spin.

    tls: asked once per connection; None = plain. reuse_port: other processes listen on the same port (SO_REUSEPORT).
    """

    request_queue_size = 128

    def __init__(
        self,
        ae: Any,
        address: Address,
        ae_title: str,
        contexts: list[Any],
        ssl_context: ssl.SSLContext | None = None,
        evt_handlers: list[Any] | None = None,
        *,
        limits: Limits,
        memory: MemoryBudget,
        counts: Counts,
        watch: PeerWatch,
        tls: Callable[[], ssl.SSLContext | None],
        reuse_port: bool,
    ) -> None:
        self._limits = limits
        self._memory = memory
        self._watch = watch
        self._tls = tls
        self._reuse_port = reuse_port
        self._counts = counts
        self._own_calls: set[Address] = set()
        self._waker = Waker()
        self._stopping = False
        self._done = threading.Event()
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self.server_address: Address = address
        self.own_calls_socket: socket.socket | None = None
        try:
            super().__init__(ae, address, ae_title, contexts, ssl_context, evt_handlers)
            if reuse_port:
                # a call to the shared port could be answered by a sibling
                self.own_calls_socket = socket.create_server(("127.0.0.1", 0))
                self.own_calls_socket.setblocking(False)
        except OSError:
            # the port is taken; this may be tried again and again
            self._close_own()
            raise

    def expect_own_call(self, address: Address) -> None:
        """A connection from exactly this address (host, port) is the self-check's: it costs nobody a place and gets no TLS."""
        self._own_calls.add(address[:2])

    def forget_own_call(self, address: Address) -> None:
        self._own_calls.discard(address[:2])

    @property
    def own_call_address(self) -> Address:
        """Where the self-check finds this very listener."""
        if self.own_calls_socket is not None:
            found: Address = self.own_calls_socket.getsockname()
            return found
        host, port = self.server_address[:2]
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104  compared, not bound

    def connection_count(self) -> int:
        return self._counts.own_connections()

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._reuse_port:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.socket.bind(self.server_address)
        self.socket.setblocking(False)
        self.server_address = self.socket.getsockname()

    def serve_forever(self, poll_interval: float = 0.5) -> None:  # noqa: ARG002  waits for events
        listening = {one.fileno(): one for one in (self.socket, self.own_calls_socket) if one is not None}
        poller = select.poll()
        poller.register(self._waker, select.POLLIN)
        for descriptor in listening:
            poller.register(descriptor, select.POLLIN)
        try:
            while not self._stopping:
                for descriptor, _ in poller.poll():
                    if descriptor in listening:
                        self._take_from(listening[descriptor])
        finally:
            self._done.set()

    def shutdown(self, seconds: float = 5.0) -> None:
        """Stops accepting and closes the listening socket, even when the accept loop is stuck."""
        self._stopping = True
        self._waker.wake()
        self._done.wait(seconds)
        self.server_close()
        self._close_own()

    def _close_own(self) -> None:
        if self.own_calls_socket is not None:
            self.own_calls_socket.close()
        self._close_spare()
        self._waker.close()

    def _close_spare(self) -> None:
        spare, self._spare = self._spare, -1
        if spare >= 0:
            os.close(spare)

    def _take_from(self, listening: socket.socket) -> None:
        try:
            connection, address = listening.accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._shed(listening)
            return
        if listening is self.own_calls_socket and address[:2] not in self._own_calls:
            connection.close()
            return
        self._admit(connection, address)

    def _shed(self, listening: socket.socket) -> None:
        """No descriptor is left: with the spare one the caller is taken and dropped, else poll() would return at once for ever."""
        self._close_spare()
        try:
            connection, address = listening.accept()
            connection.close()
            self._watch.refused(str(address[0]), Cut.OUT_OF_DESCRIPTORS)
        except OSError:
            wait_for(self._waker.fileno(), select.POLLIN, _BREATH_SECONDS)
        with suppress(OSError):
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def _admit(self, connection: socket.socket, address: Address) -> None:
        is_own = address[:2] in self._own_calls
        place = (lambda: None) if is_own else self._counts.admit(str(address[0]), self._limits)
        if isinstance(place, Cut):
            connection.close()
            self._watch.refused(str(address[0]), place)
            return
        thread = threading.Thread(target=self._open, args=(connection, address, place, is_own), name="receiver-connection", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # no more threads
            connection.close()
            place()
            self._watch.refused(str(address[0]), Cut.CONNECTION_LIMIT)

    def _open(self, connection: socket.socket, address: Address, give_back: Callable[[], None], is_own: bool) -> None:
        association: ReceiverAssociation | None = None
        try:
            set_options(connection)
            context = None if is_own else self._tls()
            if context is not None:
                connection = secure(connection, context, self._limits.pdu_seconds)
            association = self._association(connection, address, give_back, is_own)
            evt.trigger(association, evt.EVT_CONN_OPEN, {"address": address})
            association.start()
        except PeerLimitError as error:
            self._tell_refusal(str(address[0]), error)
            connection.close()
            give_back()
        except Exception as error:  # noqa: BLE001  the edge of a thread: a bug costs this connection
            if association is not None:
                # it has no thread that would do it at its end
                association.dul.transport.end()
            log_event(Event.CONNECTION_CUT, level="error", error_class=type(error).__name__)
            self._watch.cut(str(address[0]), Cut.INTERNAL)
            connection.close()
            give_back()

    def _tell_refusal(self, address: str, error: PeerLimitError) -> None:
        if error.detail != Cut.TLS_HANDSHAKE:
            self._watch.refused(address, Cut(error.detail))
        elif isinstance(error.__cause__, PeerLimitError):
            self._watch.handshake_refused(address, "handshake_timeout")
        else:
            self._watch.handshake_refused(address, refusal_reason(error.__cause__))

    def _association(
        self,
        connection: socket.socket,
        address: Address,
        give_back: Callable[[], None],
        is_own: bool,
    ) -> ReceiverAssociation:
        association = ReceiverAssociation(
            self.ae,
            self._limits,
            self._memory,
            is_self_check=is_own,
            on_cut=lambda reason: self._watch.cut(str(address[0]), reason),
            on_end=give_back,
        )
        association.name = "AcceptorThread"  # by this name pynetdicom finds it
        association._server = self  # noqa: SLF001
        association.set_socket(Transport(association, connection, self._limits))
        ours, peer = association.acceptor, association.requestor
        ours.maximum_length = self.ae.maximum_pdu_size
        ours.ae_title = self.ae_title
        ours.address_info = AddressInformation.from_tuple(self.server_address)
        ours.implementation_class_uid = self.ae.implementation_class_uid
        ours.implementation_version_name = self.ae.implementation_version_name
        ours.supported_contexts = deepcopy(self.contexts)
        peer.address_info = AddressInformation.from_tuple(address)
        if not is_own:
            self._bind_handlers(association)
        return association

    def _bind_handlers(self, association: ReceiverAssociation) -> None:
        for event, bound in self._handlers.items():
            if event.is_intervention and bound:
                association.bind(event, *bound)
            elif event.is_notification:
                for handler, arguments in bound:
                    association.bind(event, handler, arguments)
