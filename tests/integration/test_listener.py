"""The listening socket by itself: TLS in the connection's thread, descriptors that run out, own calls, a shared port."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pynetdicom import evt

from gateway.config import TlsSettings, parse_settings
from gateway.receive import listener as listener_module
from gateway.receive.counts import Counts, CountTable
from gateway.receive.limits import Cut, Limits
from gateway.receive.listener import Listener
from gateway.receive.memory import MemoryBudget
from gateway.receive.self_check import SelfCheck
from gateway.receive.server import _application_entity
from gateway.receive.tls import TlsIdentity, identity_of, new_context
from tests.peers.authority import Authority, Pair
from tests.peers.raw_peer import (
    ACCEPT,
    COMMAND,
    LAST,
    P_DATA,
    RELEASE_RP,
    RELEASE_RQ,
    STALLED,
    RawPeer,
    association_request,
    echo_request,
    fragment,
    pdu,
    store_command,
    store_request,
)

SECONDS = 30


@dataclass
class Told:
    """In place of the watch: what it was told, and a wait for the next."""

    reasons: list[str] = field(default_factory=list)
    news: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def refused(self, _address: str, reason: str) -> None:
        self.reasons.append(reason)
        self.news.release()

    cut = handshake_refused = refused


@dataclass
class Listening:
    """A listener, and the associations and data sets that its handlers have seen."""

    listener: Listener
    told: Told
    stored: list[bytes]
    identities: list[TlsIdentity | None]

    @property
    def port(self) -> int:
        port: int = self.listener.server_address[1]
        return port


@pytest.fixture
def listen() -> Iterator[Callable[..., Listening]]:
    started: list[Listener] = []

    def start(
        *, tls: Callable[[], ssl.SSLContext | None] = lambda: None, reuse_port: bool = False, port: int = 0, **limits: Any
    ) -> Listening:
        settings = parse_settings({"serve": {"development": True}, "receiver": {"pdu_seconds": 0.3, **limits}})
        told, stored, seen = Told(), [], []

        def store(event: Any) -> int:
            stored.append(event.request.DataSet.getvalue())
            return 0

        found = Limits.of(settings.receiver)
        listener = _application_entity(settings, found).make_server(
            ("127.0.0.1", port),
            evt_handlers=[
                (evt.EVT_C_STORE, store),
                (evt.EVT_REQUESTED, lambda event: seen.append(identity_of(event.assoc.dul.socket.socket))),
            ],
            server_class=Listener,
            limits=found,
            memory=MemoryBudget(found.memory, found.message),
            counts=Counts(CountTable()),
            watch=told,
            tls=tls,
            reuse_port=reuse_port,
        )
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        started.append(listener)
        return Listening(listener, told, stored, seen)

    yield start
    for listener in started:
        listener.shutdown()


@dataclass(frozen=True)
class Site:
    """Two authorities that know nothing of each other: the hospital's, which signed the gateway and xray1, and a stranger's."""

    ours: Authority
    gateway: Pair
    xray1: Pair
    theirs: Authority
    stranger: Pair

    @staticmethod
    def server(own: Pair, trusts: Authority) -> ssl.SSLContext:
        return new_context(TlsSettings(certificate=own.certificate, key=own.key, authorities=trusts.file))

    @staticmethod
    def client(own: Pair | None, trusts: Authority) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(trusts.file)
        if own is not None:
            context.load_cert_chain(own.certificate, own.key)
        return context


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("certificates")
    ours, theirs = Authority(folder / "ours", "Hospital CA"), Authority(folder / "theirs", "Stranger CA")
    return Site(ours, ours.issue("gateway"), ours.issue("xray1"), theirs, theirs.issue("stranger"))


@pytest.fixture
def secured(listen: Callable[..., Listening], site: Site) -> Listening:
    """Trusts the hospital's authority alone."""
    context = site.server(site.gateway, site.ours)
    return listen(tls=lambda: context)


def is_served(port: int, *, source: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> bool:
    with RawPeer(port, source=source, tls=tls) as peer:
        if peer.associate() != ACCEPT:
            return False
        peer.send(echo_request())
        answered = peer.status() == 0
        peer.send(pdu(RELEASE_RQ, bytes(4)))
        return answered and peer.until_closed() == [RELEASE_RP]


def test_data_set_comes_whole_over_tls_and_the_handler_learns_whose_certificate_it_was(secured: Listening, site: Site) -> None:
    content = bytes(range(256)) * 3000
    context = site.client(site.xray1, site.ours)
    with RawPeer(secured.port, tls=context) as peer:
        assert peer.associate() == ACCEPT
        for part in store_request(content, "1.2.3.1"):
            peer.send(part)
        assert peer.status() == 0
    assert secured.stored == [content]
    (identity,) = secured.identities
    assert identity is not None
    assert identity.certificate is not None
    assert identity.certificate.sha256 == site.xray1.sha256


def test_plain_connection_has_no_certificate(listen: Callable[..., Listening]) -> None:
    listening = listen()
    assert is_served(listening.port)
    assert listening.identities == [None]


@pytest.mark.parametrize(("has_one", "reason"), [(False, "no_certificate"), (True, "certificate_untrusted")])
def test_peer_without_a_trusted_certificate_gets_no_association(secured: Listening, site: Site, has_one: bool, reason: str) -> None:
    context = site.client(site.stranger if has_one else None, site.ours)
    with RawPeer(secured.port, tls=context) as peer:
        # in TLS 1.3 the client learns of it after its own end of the handshake
        assert peer.associate() is None
    assert secured.told.news.acquire(timeout=SECONDS)
    assert secured.told.reasons == [reason]


@pytest.mark.parametrize("said", [b"", STALLED, b"\x16\x03\x01\x02"])
def test_silent_or_plain_peer_of_a_tls_port_is_closed_and_blocks_nobody(secured: Listening, site: Site, said: bytes) -> None:
    context = site.client(site.xray1, site.ours)
    with RawPeer(secured.port) as silent:
        silent.send(said)
        assert is_served(secured.port, tls=context)
        while silent.socket.recv(100):
            pass
    assert secured.told.news.acquire(timeout=SECONDS)
    assert secured.told.reasons == ["handshake_timeout"]
    assert secured.listener.connection_count() == 0


def test_context_is_asked_for_once_per_connection(listen: Callable[..., Listening], site: Site) -> None:
    authorities = [(site.gateway, site.ours), (site.stranger, site.theirs)]
    contexts = [site.server(own, authority) for own, authority in authorities]
    listening = listen(tls=lambda: contexts.pop(0))
    for own, authority in authorities:
        assert is_served(listening.port, tls=site.client(own, authority))
    assert contexts == []


class WithoutDescriptors:
    """A listening socket in a process whose descriptors are used up: the first call of accept() fails, the next finds the spare one."""

    def __init__(self, real: socket.socket, failures: int) -> None:
        self._real, self._failures = real, failures

    def accept(self) -> tuple[socket.socket, Any]:
        if self._failures:
            self._failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self._real.accept()


@pytest.mark.parametrize(("failures", "reasons"), [(1, [Cut.OUT_OF_DESCRIPTORS]), (2, [])])
def test_caller_is_dropped_when_descriptors_run_out(listen: Callable[..., Listening], failures: int, reasons: list[Cut]) -> None:
    listening = listen()
    with socket.create_server(("127.0.0.1", 0)) as other, socket.create_connection(other.getsockname()) as caller:
        caller.settimeout(SECONDS)
        listening.listener._take_from(WithoutDescriptors(other, failures))  # type: ignore[arg-type]
        assert listening.told.reasons == reasons
        if reasons:
            assert caller.recv(1) == b""
    assert is_served(listening.port)


def test_connection_whose_threads_cannot_start_gives_its_descriptors_back(
    listen: Callable[..., Listening], monkeypatch: pytest.MonkeyPatch
) -> None:
    listening, made = listen(), []
    real = listener_module.Transport

    def transport(*arguments: Any) -> Any:
        made.append(real(*arguments))
        return made[-1]

    def start(_association: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(listener_module, "Transport", transport)
    monkeypatch.setattr(listener_module.ReceiverAssociation, "start", start)
    with RawPeer(listening.port) as peer:
        assert peer.until_closed() == []
        assert listening.told.news.acquire(timeout=SECONDS)
    assert listening.told.reasons == [Cut.INTERNAL]
    (one,) = made
    assert not one.waker._open
    monkeypatch.undo()
    assert is_served(listening.port)


def test_own_call_is_answered_while_no_place_is_left_and_reaches_no_handler(listen: Callable[..., Listening]) -> None:
    listening = listen(max_connections=1, max_associations=1)
    with RawPeer(listening.port) as peer:
        assert peer.associate() == ACCEPT
        assert check(listening).call()
        assert listening.listener.connection_count() == 1
    assert len(listening.identities) == 1
    assert listening.told.reasons == []


def test_own_call_is_plain_although_the_port_wants_tls(secured: Listening) -> None:
    assert check(secured).call()
    assert secured.told.reasons == []


def test_own_call_of_a_shared_port_finds_its_own_process(listen: Callable[..., Listening]) -> None:
    first = listen(reuse_port=True)
    second = listen(reuse_port=True, port=first.port)
    assert first.port == second.port
    release = threading.Event()
    second.listener._admit = lambda *_: release.wait(SECONDS)
    assert all(check(first).call() for _ in range(5))
    assert not check(second, answer_seconds=0.2).call()
    release.set()


def test_own_listener_of_a_shared_port_serves_nobody_else(listen: Callable[..., Listening]) -> None:
    listening = listen(reuse_port=True)
    with RawPeer(listening.listener.own_call_address[1]) as peer:
        assert peer.associate() is None
    assert is_served(listening.port)


def test_stuck_accept_loop_is_noticed(listen: Callable[..., Listening]) -> None:
    listening, stuck, release = listen(), threading.Event(), threading.Event()
    listening.listener._admit = lambda *_: release.wait(SECONDS)
    self_check = check(listening, answer_seconds=0.1, on_stuck=stuck.set)
    self_check.start()
    assert stuck.wait(SECONDS)
    release.set()


def test_answered_self_check_raises_no_alarm(listen: Callable[..., Listening]) -> None:
    listening, stuck, called = listen(), threading.Event(), threading.Semaphore(0)
    self_check = check(listening, on_stuck=stuck.set)
    real = self_check.call

    def call() -> bool:
        called.release()
        return real()

    self_check.call = call  # type: ignore[method-assign]
    self_check.start()
    for _ in range(5):
        assert called.acquire(timeout=SECONDS)
    self_check.stop()
    assert not stuck.is_set()


def check(listening: Listening, *, answer_seconds: float = 10.0, on_stuck: Callable[[], None] = lambda: None) -> SelfCheck:
    return SelfCheck(listening.listener, ae_title="STRNET", seconds=0.02, on_stuck=on_stuck, answer_seconds=answer_seconds)


def mutants(whole: bytes) -> Iterator[bytes]:
    """Each with one byte changed."""
    for place in range(len(whole)):
        for value in (0x00, 0xFF):
            yield whole[:place] + bytes([value]) + whole[place + 1 :]


def test_no_changed_byte_of_a_request_reaches_what_is_not_ready_for_it(listen: Callable[..., Listening]) -> None:
    listening = listen(pdu_seconds=0.1)
    for request in mutants(association_request()):
        with RawPeer(listening.port) as peer:
            peer.send(request)
            peer.socket.shutdown(socket.SHUT_WR)
            peer.until_closed()
    assert Cut.INTERNAL not in listening.told.reasons
    assert Cut.PDU_UNREADABLE in listening.told.reasons
    assert is_served(listening.port)


@pytest.mark.filterwarnings("ignore:Invalid value for VR:UserWarning")
def test_no_changed_byte_of_a_command_reaches_what_is_not_ready_for_it(listen: Callable[..., Listening]) -> None:
    listening = listen(pdu_seconds=0.1)
    for command in mutants(store_command()):
        with RawPeer(listening.port) as peer:
            assert peer.associate() == ACCEPT
            peer.send(pdu(P_DATA, fragment(COMMAND | LAST, command)) + pdu(P_DATA, fragment(LAST, b"data set")))
            peer.socket.shutdown(socket.SHUT_WR)
            peer.until_closed()
    assert Cut.INTERNAL not in listening.told.reasons
    assert Cut.COMMAND in listening.told.reasons
    assert is_served(listening.port)
