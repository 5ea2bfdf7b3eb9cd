"""Associations that do not end by themselves: cut by a drain, or left by a process that died. What counts is their rows."""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import Any

import pytest
from sqlalchemy import select

from gateway.domain.answered import OpenedAssociation
from gateway.receive import server
from gateway.receive.association import ReceiverAssociation
from gateway.receive.sweep import Settled, settle
from gateway.receive.transport import Transport
from gateway.store.associations import Associations
from gateway.store.database import Database
from gateway.store.process_file import ProcessFile, ProcessFiles
from gateway.store.receipts import Receipts
from gateway.store.spool import Spool
from gateway.store.tables import AssociationRow, AuditEventRow
from tests.integration.conftest import Receiver
from tests.integration.test_receiver import DX, EXPLICIT, dx
from tests.peers.raw_scu import association, send_bytes


def endings(database: Database) -> dict[str, str | None]:
    """By calling AE title."""
    with database.reading() as session:
        return {row.calling_ae_title: row.ending if row.ended_at else None for row in session.scalars(select(AssociationRow))}


def opened(who: str) -> OpenedAssociation:
    return OpenedAssociation(calling_ae_title=who, called_ae_title="STRNET", peer_address="192.0.2.1", way="c_store")


def settled(database: Database, spool: Spool) -> Settled:
    return settle(ProcessFiles(spool.processes), Associations(database, "test"))


def abandon(process: ProcessFile) -> None:
    """As a kill does: the lock is gone, the file stays."""
    os.close(process._descriptor)
    process._descriptor = -1


def test_drain_returns_when_the_ends_of_cut_associations_are_on_record(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Receipts.end_association

    def slow(self: Receipts, *arguments: Any) -> None:
        # a database that takes its time
        time.sleep(0.3)
        real(self, *arguments)

    monkeypatch.setattr(Receipts, "end_association", slow)
    monkeypatch.setattr(server, "_LEAST_END_SECONDS", 30)
    with association(receiver.port, [(DX, EXPLICIT)]) as assoc:
        assert send_bytes(assoc, dx(), sop_class_uid=DX, sop_instance_uid="1.2.3.1")[0] == 0
        assert not receiver.server.drain(0.1)
        assert endings(receiver.database) == {"RAWSCU": "aborted"}


def test_drain_does_not_wait_for_a_database_that_hangs(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()
    monkeypatch.setattr(Receipts, "end_association", lambda *_: let_go.wait(60))
    with association(receiver.port, [(DX, EXPLICIT)]):
        # returns although nobody lets go
        assert not receiver.server.drain(0.1)
    let_go.set()


def test_drain_ends_a_connection_whose_thread_has_not_begun(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """threading.enumerate() shows a thread before it may be joined."""
    waits, goes_on = threading.Event(), threading.Event()
    begin, shut = ReceiverAssociation._bootstrap, Transport.shut

    def late(self: ReceiverAssociation) -> None:
        waits.set()
        goes_on.wait(60)
        begin(self)

    def shut_and_go_on(self: Transport) -> None:
        shut(self)
        goes_on.set()

    monkeypatch.setattr(ReceiverAssociation, "_bootstrap", late)
    monkeypatch.setattr(Transport, "shut", shut_and_go_on)
    monkeypatch.setattr(server, "_LEAST_END_SECONDS", 30)
    with socket.create_connection(("127.0.0.1", receiver.port)) as peer:
        assert waits.wait(30)
        receiver.server.drain(0.1)
        peer.settimeout(30)
        assert peer.recv(1) == b""
    assert not any(isinstance(thread, ReceiverAssociation) for thread in threading.enumerate())


def test_associations_of_a_dead_process_are_ended_and_those_of_a_living_one_stay_open(database: Database, spool: Spool) -> None:
    living, dead = ProcessFile(spool.processes), ProcessFile(spool.processes)
    Receipts(database, "test", spool, process=living).open_association(opened("LIVING"))
    of_dead = Receipts(database, "test", spool, process=dead)
    for who in ("DEAD1", "DEAD2"):
        of_dead.open_association(opened(who))
    of_dead.end_association(of_dead.open_association(opened("ENDED")), "released")
    assert settled(database, spool) == Settled(ended=0, taken_up=0, unreadable=0)
    abandon(dead)
    assert settled(database, spool) == Settled(ended=2, taken_up=0, unreadable=0)
    assert endings(database) == {"LIVING": None, "DEAD1": "process_died", "DEAD2": "process_died", "ENDED": "released"}
    assert [path.stem for path in spool.processes.iterdir()] == [living.owner]
    with database.reading() as session:
        told = session.scalars(select(AuditEventRow).where(AuditEventRow.event == "association:aborted")).all()
    assert [row.detail["reason"] for row in told] == ["process_died"] * 2
    assert settled(database, spool).ended == 0
    living.close()


def test_association_of_a_release_that_named_no_process_is_ended(database: Database, spool: Spool) -> None:
    Receipts(database, "test", spool).open_association(opened("OLD"))
    assert settled(database, spool).ended == 1
    assert endings(database) == {"OLD": "process_died"}


def test_process_whose_file_is_gone_is_dead(database: Database, spool: Spool) -> None:
    """After a power cut the file may not be there: it was empty, and nothing relied on it."""
    process = ProcessFile(spool.processes)
    Receipts(database, "test", spool, process=process).open_association(opened("ROOM"))
    process.close()
    assert settled(database, spool).ended == 1


def test_own_process_is_living_for_itself(spool: Spool) -> None:
    process = ProcessFile(spool.processes)
    assert ProcessFiles(spool.processes).is_living(process.owner)
    process.close()
    assert not ProcessFiles(spool.processes).is_living(process.owner)
