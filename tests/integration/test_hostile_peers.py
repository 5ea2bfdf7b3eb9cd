"""Peers that stall, flood, lie or leave, against a listening receiver: what they cost, and that the others are served."""

from __future__ import annotations

import select as selecting
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import evt
from sqlalchemy import select

from gateway.receive import message_assembly
from gateway.receive.command_set import CommandHead
from gateway.receive.limits import Cut
from gateway.receive.storage_scp import StorageScp
from gateway.store.tables import AuditEventRow, ReceiptRow
from tests.integration.conftest import Receiver
from tests.integration.test_receiver import counts, dx, reasons
from tests.peers.raw_peer import (
    ABORT,
    ACCEPT,
    COMMAND,
    DX_CONTEXT,
    ECHO_CONTEXT,
    LAST,
    P_DATA,
    REJECT,
    RELEASE_RP,
    RELEASE_RQ,
    STALLED,
    RawPeer,
    association_request,
    echo_command,
    echo_request,
    fragment,
    pdu,
    store_command,
    store_request,
)

SHORT = {"port": 0, "pdu_seconds": 0.3, "self_check_seconds": 0}


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite alone: the wire does not know the database."""
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def strict(receivers: Callable[..., Receiver]) -> Receiver:
    """Short deadlines."""
    return receivers(receiver=SHORT)


@pytest.fixture
def peers() -> Iterator[Callable[..., RawPeer]]:
    """Connections that are closed at the end."""
    with ExitStack() as stack:
        yield lambda port, **options: stack.enter_context(RawPeer(port, **options))


def audited(receiver: Receiver, event: str) -> list[str]:
    """The reasons of what the receiver has told, once it has ended."""
    receiver.server.drain(0.1)
    with receiver.database.reading() as session:
        return [row.detail["reason"] for row in session.scalars(select(AuditEventRow).where(AuditEventRow.event == event))]


def is_served(receiver: Receiver, source: str = "127.0.0.1") -> bool:
    """A sender with good manners gets its association, its C-ECHO and its release."""
    with RawPeer(receiver.port, source=source) as peer:
        if peer.associate() != ACCEPT:
            return False
        peer.send(echo_request())
        answered = peer.status() == 0
        peer.send(pdu(RELEASE_RQ, bytes(4)))
        return answered and peer.until_closed() == [RELEASE_RP]


def is_stored(receiver: Receiver, uid: str) -> bool:
    with receiver.database.reading() as session:
        return session.scalars(select(ReceiptRow.dimse_status).where(ReceiptRow.sop_instance_uid == uid)).all() == [0]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (STALLED, Cut.PDU_DEADLINE),
        (association_request()[:40], Cut.PDU_DEADLINE),
        (pdu(1, b"", claims=0xFFFFFFFF), Cut.PDU_TOO_LONG),
        (pdu(1, b"", claims=65537), Cut.PDU_TOO_LONG),
        (b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n", Cut.NOT_DICOM),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), Cut.NOT_DICOM),
        (pdu(P_DATA, fragment(COMMAND | LAST, store_command())), Cut.NOT_DICOM),
        (pdu(1, b"\x00\x01" + b"\xff" * 200), Cut.PDU_UNREADABLE),
    ],
    ids=["two bytes", "half a request", "4 GiB", "64 KiB and one", "HTTP", "TLS", "P-DATA before an association", "garbage"],
)
def test_stranger_is_closed_and_others_are_served_meanwhile(
    strict: Receiver, peers: Callable[..., RawPeer], said: bytes, reason: Cut
) -> None:
    stranger = peers(strict.port)
    stranger.send(said)
    assert is_served(strict)
    assert set(stranger.until_closed()) <= {ABORT}
    assert audited(strict, "connection:cut") == [reason]


def test_silent_connections_keep_no_sender_out(receivers: Callable[..., Receiver], peers: Callable[..., RawPeer]) -> None:
    receiver = receivers(receiver={**SHORT, "max_associations": 1})
    for _ in range(20):
        peers(receiver.port)
    assert is_served(receiver)


def test_associations_are_limited_by_their_own_number(receivers: Callable[..., Receiver], peers: Callable[..., RawPeer]) -> None:
    receiver = receivers(receiver={**SHORT, "max_associations": 1})
    assert peers(receiver.port).associate() == ACCEPT
    assert peers(receiver.port).associate() == REJECT


def test_connections_of_one_address_are_capped_and_another_address_is_served(
    receivers: Callable[..., Receiver], peers: Callable[..., RawPeer]
) -> None:
    receiver = receivers(receiver={**SHORT, "max_connections_per_address": 3})
    for _ in range(3):
        assert peers(receiver.port, source="127.0.0.2").associate() == ACCEPT
    assert peers(receiver.port, source="127.0.0.2").until_closed() == []
    assert is_served(receiver, source="127.0.0.3")
    assert audited(receiver, "connection:refused") == [Cut.ADDRESS_LIMIT]


def test_connections_are_capped_in_total_and_a_place_given_back_is_taken_again(
    receivers: Callable[..., Receiver], peers: Callable[..., RawPeer]
) -> None:
    receiver = receivers(receiver={**SHORT, "max_connections": 2, "max_associations": 2})
    first, second = peers(receiver.port, source="127.0.0.2"), peers(receiver.port, source="127.0.0.3")
    assert (first.associate(), second.associate()) == (ACCEPT, ACCEPT)
    assert peers(receiver.port, source="127.0.0.4").until_closed() == []
    first.send(pdu(RELEASE_RQ, bytes(4)))
    assert first.until_closed() == [RELEASE_RP]
    wait_until(lambda: receiver.server._listener.connection_count() == 1)
    assert is_served(receiver, source="127.0.0.4")


def test_connections_that_come_and_go_leave_no_thread(strict: Receiver) -> None:
    before = threading.active_count()
    for number in range(200):
        with RawPeer(strict.port) as peer:
            if number % 2:
                peer.send(association_request())
    wait_until(lambda: strict.server._listener.connection_count() == 0)
    wait_until(lambda: threading.active_count() <= before)
    assert is_served(strict)


COMPLETE = fragment(COMMAND | LAST, store_command())


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (pdu(P_DATA, b"", claims=131073), Cut.PDU_TOO_LONG),
        (pdu(RELEASE_RQ, b"", claims=65537), Cut.PDU_TOO_LONG),
        (pdu(P_DATA, COMPLETE)[:-3], Cut.PDU_DEADLINE),
        (pdu(P_DATA, fragment(LAST, b"data before command")), Cut.FRAGMENTS),
        (pdu(P_DATA, COMPLETE + COMPLETE), Cut.FRAGMENTS),
        (pdu(P_DATA, COMPLETE + fragment(LAST, b"x", context=ECHO_CONTEXT)), Cut.FRAGMENTS),
        (pdu(P_DATA, b"\x00\x00\x00\x01\x01"), Cut.FRAGMENTS),
        (pdu(P_DATA, b"\x00\x00\x00\x01\x01\x03"), Cut.FRAGMENTS),
        (pdu(P_DATA, b"\x00\x00\x10\x00\x01\x03"), Cut.FRAGMENTS),
        (pdu(P_DATA, fragment(COMMAND, bytes(9000))), Cut.COMMAND),
        (pdu(P_DATA, fragment(COMMAND | LAST, b"no command set")), Cut.COMMAND),
        (
            pdu(
                P_DATA,
                fragment(COMMAND | LAST, store_command().replace(b"\x00\x01\x02\x00\x00\x00\x01\x00", b"\x00\x01\x02\x00\x00\x00\x00\x01")),
            ),
            Cut.COMMAND,
        ),
        (pdu(P_DATA, fragment(COMMAND | LAST, echo_command() + b"\x00\x00\x00\x08" + bytes(4), context=ECHO_CONTEXT)), Cut.COMMAND),
    ],
    ids=[
        "longer than advertised",
        "long release",
        "cut short",
        "data before command",
        "two commands",
        "other context",
        "short item head",
        "item without control header",
        "item longer than its PDU",
        "endless command",
        "no command",
        "N-EVENT-REPORT",
        "data set type told twice",
    ],
)
def test_association_that_breaks_the_rules_is_aborted_and_others_are_served(
    strict: Receiver, peers: Callable[..., RawPeer], said: bytes, reason: Cut
) -> None:
    peer = peers(strict.port)
    assert peer.associate() == ACCEPT
    peer.send(said)
    assert is_served(strict)
    assert peer.until_closed() == [ABORT]
    assert audited(strict, "connection:cut") == [reason]
    assert counts(strict) == (0, 0, 0)


def test_class_that_nobody_knows_is_answered_0122_and_its_siblings_are_stored(strict: Receiver, peers: Callable[..., RawPeer]) -> None:
    peer = peers(strict.port)
    assert peer.associate() == ACCEPT
    unknown = store_command("1.2.3.2").replace(b"1.2.840.10008.5.1.4.1.1.1.1", b"1.2.840.99999.5.1.4.1.1.1.1")
    peer.send(pdu(P_DATA, fragment(COMMAND | LAST, unknown)) + pdu(P_DATA, fragment(LAST, dx("1.2.3.2"))))
    assert peer.status() == 0x0122
    for part in store_request(dx("1.2.3.1"), "1.2.3.1"):
        peer.send(part)
    assert peer.status() == 0


@pytest.mark.parametrize("has_data_set", [True, False])
def test_command_that_the_library_reads_otherwise_ends_the_association(
    strict: Receiver, peers: Callable[..., RawPeer], monkeypatch: pytest.MonkeyPatch, has_data_set: bool
) -> None:
    monkeypatch.setattr(message_assembly, "read_command", lambda _, **_context: CommandHead(0x0001, has_data_set))
    peer = peers(strict.port)
    assert peer.associate() == ACCEPT
    said = echo_command() if has_data_set else store_command()
    peer.send(pdu(P_DATA, fragment(COMMAND | LAST, said, context=ECHO_CONTEXT)))
    assert ABORT in peer.until_closed()
    assert audited(strict, "connection:cut") == [Cut.COMMAND]


@pytest.mark.parametrize("context", [0, 5, 254])
def test_context_that_was_not_accepted_ends_the_association(strict: Receiver, peers: Callable[..., RawPeer], context: int) -> None:
    peer = peers(strict.port)
    assert peer.associate() == ACCEPT
    peer.send(pdu(P_DATA, fragment(COMMAND | LAST, echo_command(), context=context)))
    assert set(peer.until_closed()) <= {ABORT}
    assert is_served(strict)


def test_fragments_of_every_size_make_the_same_message(strict: Receiver, peers: Callable[..., RawPeer]) -> None:
    content = dx("1.2.3.1", PixelData=bytes(range(256)) * 4, Rows=16, Columns=32)
    peer = peers(strict.port)
    assert peer.associate() == ACCEPT
    command = store_command("1.2.3.1")
    for byte in command[:-1]:
        peer.send(pdu(P_DATA, fragment(COMMAND, bytes([byte]))))
    items = fragment(COMMAND | LAST, command[-1:]) + fragment(0) + fragment(0, content[:7]) + fragment(0, content[7:8])
    peer.send(pdu(P_DATA, items))
    peer.send(pdu(P_DATA, b""))
    peer.send(pdu(P_DATA, fragment(0, content[8:]) + fragment(LAST)))
    assert peer.status() == 0
    (kept,) = (strict.folder / "instance").rglob("*.dcm")
    assert kept.read_bytes().endswith(content)


def test_message_longer_than_allowed_is_answered_c007_and_its_siblings_are_stored(
    receivers: Callable[..., Receiver], peers: Callable[..., RawPeer]
) -> None:
    receiver = receivers(receiver={**SHORT, "max_message_mb": 1, "memory_mb": 8})
    peer = peers(receiver.port)
    assert peer.associate() == ACCEPT
    answers = []
    for uid, content in (("1.2.3.1", dx("1.2.3.1")), ("1.2.3.2", bytes(1_200_000)), ("1.2.3.3", dx("1.2.3.3"))):
        for part in store_request(content, uid):
            peer.send(part)
        answers.append(peer.status())
    assert answers == [0, 0xC007, 0]
    assert reasons(receiver) == [(0, "stored"), (0xC007, "too_long"), (0, "stored")]


def test_message_that_never_ends_is_cut(receivers: Callable[..., Receiver], peers: Callable[..., RawPeer]) -> None:
    receiver = receivers(receiver={**SHORT, "max_message_mb": 1, "memory_mb": 8})
    peer = peers(receiver.port)
    assert peer.associate() == ACCEPT
    peer.send(pdu(P_DATA, COMPLETE))
    for _ in range(40):
        peer.send(pdu(P_DATA, fragment(0, bytes(65536))))
    assert set(peer.until_closed()) <= {ABORT}
    assert audited(receiver, "connection:cut") == [Cut.MESSAGE_TOO_LONG]


def test_message_that_takes_too_long_is_cut(receivers: Callable[..., Receiver], peers: Callable[..., RawPeer]) -> None:
    receiver = receivers(receiver={**SHORT, "message_seconds": 0.2, "idle_seconds": 30})
    peer = peers(receiver.port)
    assert peer.associate() == ACCEPT
    peer.send(pdu(P_DATA, COMPLETE))
    while not is_readable(peer, 0.02):
        peer.send(pdu(P_DATA, fragment(0, b"x")))
    assert peer.until_closed() == [ABORT]
    assert audited(receiver, "connection:cut") == [Cut.MESSAGE_DEADLINE]


class Gate:
    """Holds the answers back until it is opened, and counts the requests that have come to it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened, self.reached = threading.Event(), threading.Semaphore(0)
        real = StorageScp.answer

        def answer(scp: StorageScp, request: Any) -> Any:
            self.reached.release()
            assert self.opened.wait(30)
            return real(scp, request)

        monkeypatch.setattr(StorageScp, "answer", answer)


def test_pipelined_stores_are_held_back_while_one_waits_for_its_answer(
    strict: Receiver, peers: Callable[..., RawPeer], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    peer = peers(strict.port)
    assert peer.associate() == ACCEPT
    contents = {f"1.2.3.{number}": dx(f"1.2.3.{number}", Rows=512, Columns=512, PixelData=bytes(524288)) for number in range(1, 9)}
    stream = b"".join(part for uid, content in contents.items() for part in store_request(content, uid))
    sender = threading.Thread(target=peer.send, args=(stream,), daemon=True)
    sender.start()
    assert gate.reached.acquire(timeout=30)
    (association,) = strict.server._open_associations()
    assert association.dimse.msg_queue.qsize() == 0
    assert strict.server._memory.in_use <= 2 * 1024 * 1024
    gate.opened.set()
    assert [peer.status() for _ in contents] == [0] * len(contents)
    sender.join(30)
    assert counts(strict)[1] == len(contents)
    wait_until(lambda: strict.server._memory.in_use == 0)


def test_messages_beyond_the_memory_budget_wait_and_are_all_stored(
    receivers: Callable[..., Receiver], peers: Callable[..., RawPeer], monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = receivers(receiver={**SHORT, "max_message_mb": 2, "memory_mb": 8})
    gate = Gate(monkeypatch)
    senders = [peers(receiver.port, source=f"127.0.0.{number}") for number in range(2, 8)]
    content = {f"1.2.3.{number}": dx(f"1.2.3.{number}", Rows=900, Columns=900, PixelData=bytes(1_620_000)) for number in range(6)}
    assert {sender.associate() for sender in senders} == {ACCEPT}
    threads = []
    for sender, (uid, one) in zip(senders, content.items(), strict=True):
        thread = threading.Thread(target=sender.send, args=(b"".join(store_request(one, uid)),), daemon=True)
        thread.start()
        threads.append(thread)
    assert gate.reached.acquire(timeout=30)
    wait_until(lambda: receiver.server._memory.is_exhausted)
    assert receiver.server._memory.in_use <= 8 * 1024 * 1024
    assert peers(receiver.port).associate() == REJECT
    gate.opened.set()
    assert [sender.status() for sender in senders] == [0] * 6
    for thread in threads:
        thread.join(30)
    assert all(is_stored(receiver, uid) for uid in content)
    assert is_served(receiver)


def test_peer_that_leaves_while_its_message_comes_gives_the_memory_back(strict: Receiver, peers: Callable[..., RawPeer]) -> None:
    peer = peers(strict.port)
    assert peer.associate() == ACCEPT
    peer.send(pdu(P_DATA, COMPLETE) + pdu(P_DATA, fragment(0, bytes(100_000))))
    wait_until(lambda: strict.server._memory.in_use > 0)
    peer.socket.close()
    wait_until(lambda: strict.server._memory.in_use == 0)
    wait_until(lambda: strict.server._listener.connection_count() == 0)


ECHO_WITH_DATA_SET = echo_command().replace(b"\x00\x08\x02\x00\x00\x00\x01\x01", b"\x00\x08\x02\x00\x00\x00\x01\x00")
STORE_OF_NO_PRIORITY = store_command().replace(b"\x00\x07\x02\x00\x00\x00\x02\x00", b"\x00\x07\x02\x00\x00\x00\x05\x00")


@pytest.mark.parametrize(
    ("command", "context"),
    [(ECHO_WITH_DATA_SET, ECHO_CONTEXT), (STORE_OF_NO_PRIORITY, DX_CONTEXT)],
    ids=["C-ECHO with a data set", "priority 5"],
)
def test_message_that_no_service_takes_gives_the_memory_back(
    receivers: Callable[..., Receiver], peers: Callable[..., RawPeer], command: bytes, context: int
) -> None:
    receiver = receivers(receiver={**SHORT, "max_message_mb": 1, "memory_mb": 4})
    for _ in range(3):
        peer = peers(receiver.port)
        assert peer.associate() == ACCEPT
        peer.send(pdu(P_DATA, fragment(COMMAND | LAST, command, context=context)))
        peer.send(pdu(P_DATA, fragment(LAST, bytes(100_000), context=context)))
        assert peer.until_closed() == [ABORT]
    wait_until(lambda: receiver.server._listener.connection_count() == 0)
    assert receiver.server._memory.in_use == 0
    sender = peers(receiver.port)
    assert sender.associate() == ACCEPT
    for part in store_request(dx(), "1.2.3.1"):
        sender.send(part)
    assert sender.status() == 0
    assert set(audited(receiver, "connection:cut")) == {Cut.COMMAND}


def test_answer_that_takes_longer_than_the_idle_time_is_sent_and_the_association_lives(
    receivers: Callable[..., Receiver], peers: Callable[..., RawPeer], monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = receivers(receiver={**SHORT, "idle_seconds": 0.3})
    gate = Gate(monkeypatch)
    peer = peers(receiver.port)
    assert peer.associate() == ACCEPT
    for part in store_request(dx(), "1.2.3.1"):
        peer.send(part)
    assert gate.reached.acquire(timeout=30)
    assert not is_readable(peer, 0.8)
    gate.opened.set()
    assert peer.status() == 0
    peer.send(pdu(RELEASE_RQ, bytes(4)))
    assert peer.until_closed() == [RELEASE_RP]


def test_association_without_traffic_is_aborted(receivers: Callable[..., Receiver], peers: Callable[..., RawPeer]) -> None:
    receiver = receivers(receiver={**SHORT, "idle_seconds": 0.3})
    peer = peers(receiver.port)
    assert peer.associate() == ACCEPT
    assert peer.until_closed() == [ABORT]


def test_connection_that_asks_for_nothing_is_closed(receivers: Callable[..., Receiver], peers: Callable[..., RawPeer]) -> None:
    receiver = receivers(receiver={**SHORT, "idle_seconds": 0.3})
    assert peers(receiver.port).until_closed() == []
    wait_until(lambda: receiver.server._listener.connection_count() == 0)


def test_nobody_is_let_in_by_a_check_that_fails(strict: Receiver, peers: Callable[..., RawPeer], monkeypatch: pytest.MonkeyPatch) -> None:
    def requested(_event: Any) -> None:
        raise RuntimeError

    monkeypatch.setitem(strict.server._listener._handlers, evt.EVT_REQUESTED, [(requested, None)])
    peer = peers(strict.port)
    assert peer.associate() == REJECT
    assert peer.until_closed() == []
    assert audited(strict, "connection:cut") == [Cut.INTERNAL]


def test_draining_ends_although_peers_stall(strict: Receiver, peers: Callable[..., RawPeer]) -> None:
    stalled = peers(strict.port)
    assert stalled.associate() == ACCEPT
    silent = peers(strict.port)
    stalled.send(pdu(P_DATA, COMPLETE))
    associations = strict.server._ae.every_association
    assert strict.server.drain(0.2) is False
    assert (stalled.until_closed(), silent.until_closed()) == ([], [])
    for association in associations:
        association.join(20)
        assert not association.is_alive()
        assert not association.dul.is_alive()


def is_readable(peer: RawPeer, seconds: float) -> bool:
    return bool(selecting.select([peer.socket], [], [], seconds)[0])


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Bounded; for what only the receiver's own state tells."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
