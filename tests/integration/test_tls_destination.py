"""Deliveries by TLS: to DCMTK as a real peer, and to peers whose name, chain, dates or behaviour are wrong."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.config import DeliverySettings, DestinationSettings
from gateway.delivery.circuit_breaker import CircuitBreaker
from gateway.delivery.connection import Connection
from gateway.delivery.destination_link import DestinationLink
from gateway.delivery.link import Answered
from gateway.delivery.reach import reach
from gateway.delivery.storage_scu import StorageScu
from gateway.delivery.verification_scu import VerificationScu
from gateway.domain.delivery import NOT_TALKED_TO, Verdict
from gateway.errors import TlsRefusedError
from gateway.tls.certificates import read_certificate, read_certificate_file
from tests.integration.test_frozen_destination import SOON, large, stores_everything
from tests.integration.test_sender import SC, result
from tests.peers.authority import Authority, Pair
from tests.peers.postgresql import free_port
from tests.peers.raw_scp import Behaviour, RawScp, Visitor, answers_nothing, stops_reading, trickles_its_answer
from tests.peers.tls_storescp import StoreScp, storescp

SETTINGS = DeliverySettings(connect_seconds=3, response_seconds=3, message_seconds=10)
IMPATIENT = DeliverySettings(connect_seconds=0.5, response_seconds=0.5, message_seconds=1)
NAME = "pacs.example.org"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "tls")


@pytest.fixture
def ours(authority: Authority) -> Pair:
    return authority.issue("STRNET")


@pytest.fixture
def peers(tmp_path: Path, authority: Authority) -> Iterator[Callable[..., StoreScp]]:
    """Starts storescp: peers(certificate, *options); it takes clients that `authority` has signed."""
    contexts: list[Any] = []

    def start(shows: Pair | None, *options: str) -> StoreScp:
        trusts = () if shows is None else ("+cf", str(authority.file))
        contexts.append(storescp(tmp_path / f"held{len(contexts)}", shows, *trusts, *options))
        return contexts[-1].__enter__()

    yield start
    for context in contexts:
        context.__exit__(None, None, None)


def destination(port: int, authority: Authority, ours: Pair | None = None, **changes: object) -> DestinationSettings:
    own = {} if ours is None else {"tls_certificate": ours.certificate, "tls_key": ours.key}
    base = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": port, "class": "test"}
    secured = {"tls": True, "tls_authorities": authority.file, "tls_name": NAME}
    return DestinationSettings.model_validate({**base, **secured, **own, **changes})


def send(to: DestinationSettings, content: bytes | None = None, settings: DeliverySettings = SETTINGS) -> Answered:
    link = DestinationLink(to, settings, CircuitBreaker(failures=3, seconds=1))
    started = time.monotonic()
    answered = StorageScu(link).send(content or result(), SC, "2.25.7")
    link.close()
    assert time.monotonic() - started < SOON
    return answered


def test_result_arrives_by_tls_with_certificates_of_both_sides(peers: Callable[..., StoreScp], authority: Authority, ours: Pair) -> None:
    peer = peers(authority.issue("PACS", dns=NAME))
    assert send(destination(peer.port, authority, ours)).code == "success"
    assert peer.held() == ["2.25.7"]


def test_result_arrives_where_the_destination_asks_for_no_certificate(peers: Callable[..., StoreScp], authority: Authority) -> None:
    peer = peers(authority.issue("PACS", dns=NAME), "-ic")
    assert send(destination(peer.port, authority)).code == "success"
    assert peer.held() == ["2.25.7"]


def test_host_is_the_name_that_is_checked_unless_another_one_is_set(peers: Callable[..., StoreScp], authority: Authority) -> None:
    peer = peers(authority.issue("PACS", dns="localhost"), "-ic")
    assert send(destination(peer.port, authority, host="localhost", tls_name="")).code == "success"
    assert send(destination(peer.port, authority, tls_name="")).code == "tls_wrong_name"


def test_destination_that_wants_a_certificate_refuses_us_without_one(peers: Callable[..., StoreScp], authority: Authority) -> None:
    peer = peers(authority.issue("PACS", dns=NAME))
    answered = send(destination(peer.port, authority))
    assert (answered.verdict, answered.code, peer.held()) == (Verdict.RETRY, "tls_refused", [])


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_refusal_of_our_certificate_is_told_in_either_version(
    authority: Authority, ours: Pair, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    stranger = Authority(tmp_path / "other", "Other CA")
    demanding = server_context(authority.issue("PACS", dns=NAME), trusts=stranger, version=version)
    with RawScp(secured(demanding, stores_everything)) as scp:
        assert send(destination(scp.port, authority, ours)).code == "tls_refused"


def test_refusal_that_came_before_we_wrote_is_still_told(authority: Authority, tmp_path: Path) -> None:
    demanding = server_context(authority.issue("PACS", dns=NAME), trusts=Authority(tmp_path / "other", "Other CA"))
    gone = threading.Event()

    def refuses(visitor: Visitor) -> None:
        with pytest.raises(ssl.SSLError):
            demanding.wrap_socket(visitor.socket, server_side=True)
        gone.set()

    with RawScp(refuses) as scp:
        connection = Connection(user_timeout_seconds=3)
        reach(connection, destination(scp.port, authority), SETTINGS)
        assert gone.wait(SOON)
        with pytest.raises(TlsRefusedError):
            while True:
                connection.write(bytes(1000), time.monotonic() + SOON)
        connection.close()


@pytest.mark.parametrize(
    ("issue", "code"),
    [
        (lambda one, _: one.issue("PACS", dns="other.example.org"), "tls_wrong_name"),
        (lambda one, _: one.issue("PACS", dns=NAME, valid_hours=-1), "tls_expired"),
        (lambda _, other: other.issue("PACS", dns=NAME), "tls_untrusted"),
    ],
)
def test_destination_with_a_wrong_certificate_gets_nothing(
    peers: Callable[..., StoreScp],
    authority: Authority,
    tmp_path: Path,
    issue: Callable[[Authority, Authority], Pair],
    code: str,
) -> None:
    peer = peers(issue(authority, Authority(tmp_path / "other", "Other CA")), "-ic")
    answered = send(destination(peer.port, authority))
    assert (answered.verdict, answered.code, peer.held()) == (Verdict.RETRY, code, [])


def test_destination_without_tls_gets_nothing(peers: Callable[..., StoreScp], authority: Authority) -> None:
    peer = peers(None)
    answered = send(destination(peer.port, authority))
    assert (answered.verdict, answered.code, peer.held()) == (Verdict.RETRY, "tls_failed", [])


def test_destination_with_tls_takes_nothing_from_a_plain_table(peers: Callable[..., StoreScp], authority: Authority) -> None:
    peer = peers(authority.issue("PACS", dns=NAME), "-ic")
    plain = destination(peer.port, authority, tls=False, tls_authorities=None, tls_name="")
    assert send(plain).verdict is Verdict.RETRY
    assert peer.held() == []


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_older_version_of_tls_is_not_spoken(authority: Authority) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = authority.issue("PACS", dns=NAME)
    old.load_cert_chain(pair.certificate, pair.key)
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.TLSv1_1
    with RawScp(secured(old, stores_everything)) as scp:
        assert send(destination(scp.port, authority)).code in ("tls_refused", "tls_failed")


def server_context(pair: Pair, *, trusts: Authority | None = None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    context.maximum_version = version
    if trusts is not None:
        context.load_verify_locations(cafile=trusts.file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def secured(context: ssl.SSLContext, behaviour: Behaviour) -> Behaviour:
    """The behaviour behind a handshake."""

    def behave(visitor: Visitor) -> None:
        visitor.socket = context.wrap_socket(visitor.socket, server_side=True)
        with visitor.socket:
            behaviour(visitor)

    return behave


def freezes_in_the_handshake(visitor: Visitor) -> None:
    visitor.socket.recv(1)
    visitor.ended.wait()


def trickles_in_the_handshake(visitor: Visitor) -> None:
    # a record of 16 KiB that never becomes whole
    visitor.socket.sendall(b"\x16\x03\x03\x40\x00")
    while not visitor.ended.wait(0.1):
        visitor.socket.sendall(b"\x02")


def reads_no_hello(visitor: Visitor) -> None:
    visitor.ended.wait()


@pytest.mark.parametrize("behaviour", [freezes_in_the_handshake, trickles_in_the_handshake, reads_no_hello])
def test_peer_that_does_not_go_on_in_the_handshake_is_given_up_within_the_deadline(authority: Authority, behaviour: Behaviour) -> None:
    with RawScp(behaviour) as scp:
        answered = send(destination(scp.port, authority), settings=IMPATIENT)
    assert (answered.verdict, answered.code) == (Verdict.RETRY, "no_response")


@pytest.mark.parametrize("behaviour", [answers_nothing, trickles_its_answer, stops_reading])
def test_peer_that_freezes_behind_the_handshake_is_given_up_within_the_deadlines(authority: Authority, behaviour: Behaviour) -> None:
    context = server_context(authority.issue("PACS", dns=NAME))
    with RawScp(secured(context, behaviour)) as scp:
        answered = send(destination(scp.port, authority), large(), IMPATIENT)
    assert (answered.verdict, answered.code) == (Verdict.RETRY, "no_response")


def test_handshake_is_ended_from_another_thread(authority: Authority) -> None:
    patient = DeliverySettings(response_seconds=60, message_seconds=60)
    frozen, told = threading.Event(), []

    def freezes(visitor: Visitor) -> None:
        visitor.socket.recv(1)
        frozen.set()
        visitor.ended.wait()

    with RawScp(freezes) as scp:
        link = DestinationLink(destination(scp.port, authority), patient, CircuitBreaker(failures=3, seconds=1))
        lane = threading.Thread(target=lambda: told.append(StorageScu(link).send(result(), SC, "2.25.7").code))
        lane.start()
        assert frozen.wait(SOON)
        link.stop()
        lane.join(SOON)
        assert not lane.is_alive()
    assert told == ["interrupted"]


def test_connection_that_is_cut_never_goes_on_in_plain(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """The TLS socket's own shutdown() lets the next send() through in plain until the kernel has shut the connection."""
    context = server_context(authority.issue("PACS", dns=NAME))
    received, done = bytearray(), threading.Event()

    def listens_below_tls(visitor: Visitor) -> None:
        below = socket.socket(fileno=context.wrap_socket(visitor.socket, server_side=True).detach())
        with below:
            while part := below.recv(65536):
                received.extend(part)
        done.set()

    with RawScp(listens_below_tls) as scp:
        connection = Connection(user_timeout_seconds=3)
        reach(connection, destination(scp.port, authority), SETTINGS)
        with monkeypatch.context() as held_back:
            held_back.setattr(socket.socket, "shutdown", lambda *_: None)
            connection.cut()
            assert connection._socket is not None
            connection._socket.send(b"a patient's name")
        connection.close()
        assert done.wait(SOON)
    assert received
    assert b"patient" not in received


def test_consecutive_results_go_over_one_secured_association(authority: Authority) -> None:
    context = server_context(authority.issue("PACS", dns=NAME))
    with RawScp(secured(context, stores_everything)) as scp:
        link = DestinationLink(destination(scp.port, authority), SETTINGS, CircuitBreaker(failures=3, seconds=1))
        for _ in range(3):
            assert StorageScu(link).send(result(), SC, "2.25.7").code == "success"
            link.idle()
        link.close()
        assert scp.connections == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_secured_association_that_the_peer_has_aborted_is_seen_while_the_lane_is_idle(
    authority: Authority, version: ssl.TLSVersion
) -> None:
    context = server_context(authority.issue("PACS", dns=NAME), version=version)
    go_on = threading.Event()

    def stores_and_aborts(visitor: Visitor) -> None:
        visitor.accept()
        visitor.answer(visitor.request(), 0)
        assert go_on.wait(SOON)
        visitor.abort()
        visitor.ended.wait()

    with RawScp(secured(context, stores_and_aborts)) as scp:
        link = DestinationLink(destination(scp.port, authority), SETTINGS, CircuitBreaker(failures=3, seconds=1))
        assert StorageScu(link).send(result(), SC, "2.25.7").code == "success"
        link.idle()
        association = link._talk
        assert association is not None
        go_on.set()
        deadline = time.monotonic() + SOON
        while link._talk is association and time.monotonic() < deadline:
            link.idle()
        assert link._talk is None
        link.close()


def test_renewed_certificate_is_in_use_with_the_next_association(
    peers: Callable[..., StoreScp], authority: Authority, tmp_path: Path
) -> None:
    peer = peers(authority.issue("PACS", dns=NAME))
    expired = authority.issue("STRNET", valid_hours=-1)
    to = destination(peer.port, authority, expired)
    assert send(to).code == "tls_refused"
    authority.issue("STRNET")
    assert send(to).code == "success"
    expired.key.write_text("no key")
    assert send(to).code == "tls_files"
    assert peer.held() == ["2.25.7"]


def test_echo_says_what_is_wrong_with_the_certificate(peers: Callable[..., StoreScp], authority: Authority) -> None:
    peer = peers(authority.issue("PACS", dns=NAME), "-ic")
    scu = VerificationScu(SETTINGS)
    assert scu.silence(destination(peer.port, authority)) is None
    assert scu.silence(destination(peer.port, authority, tls_name="other.example.org")) == "tls_wrong_name"
    assert scu.silence(destination(free_port(), authority)) == "no_association"


@pytest.mark.parametrize("code", ["tls_failed", "tls_wrong_name", "tls_untrusted", "tls_expired", "tls_refused", "tls_files"])
def test_everything_that_failed_for_tls_is_due_when_the_destination_answers_again(code: str) -> None:
    assert code in NOT_TALKED_TO


def test_peers_certificate_is_known_of_an_open_connection(authority: Authority) -> None:
    pair = authority.issue("PACS", dns=NAME)
    with RawScp(secured(server_context(pair), stores_everything)) as scp:
        connection = Connection(user_timeout_seconds=3)
        reach(connection, destination(scp.port, authority), SETTINGS)
        found = connection.peer_certificate
        connection.close()
    assert found is not None
    assert read_certificate(found).not_after == read_certificate_file(pair.certificate).not_after > datetime.now(UTC)
