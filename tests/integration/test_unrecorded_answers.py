"""What was answered while the database took nothing: noted beside the spool, and a receipt once the database is back."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import select, text
from sqlalchemy.engine import make_url

from gateway.domain.answered import OpenedAssociation, Refusal
from gateway.errors import DatabaseUnavailableError
from gateway.events import Event
from gateway.receive import catching_up
from gateway.receive.catching_up import CatchingUp
from gateway.receive.sweep import Settled, settle
from gateway.store import process_file
from gateway.store.associations import Associations
from gateway.store.database import Database
from gateway.store.evidence import Evidence
from gateway.store.intake_rows import add_association, add_refusal
from gateway.store.process_file import ProcessFile, ProcessFiles
from gateway.store.receipts import Receipts, refusal_of
from gateway.store.spool import Spool
from gateway.store.tables import AssociationRow, AuditEventRow
from tests.integration.conftest import Receiver
from tests.integration.test_receiver import DX, EXPLICIT, dx, store
from tests.integration.test_receiver_ends import abandon
from tests.peers.postgresql import PostgresCluster
from tests.peers.raw_scu import association, send_bytes

SECONDS = 30


def answered(database: Database) -> list[tuple[str, str, str]]:
    """(SOP instance UID, status, reason), in the order in which they were answered."""
    return [(story.sop_instance_uid, story.dimse_status, story.reason) for story in Evidence(database).received()]


def wait_for(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def refuse(receipts: Receipts, uid: str, association_id: str | None) -> None:
    receipts.refuse(
        refusal_of(
            sop_class_uid=DX,
            sop_instance_uid=uid,
            transfer_syntax_uid=EXPLICIT,
            dimse_status=0xC005,
            reason="pixel_data_truncated",
            association_id=association_id,
        )
    )


def room(ae_title: str = "ROOM") -> OpenedAssociation:
    return OpenedAssociation(calling_ae_title=ae_title, called_ae_title="STRNET", peer_address="192.0.2.1", way="c_store")


@contextmanager
def unreachable(database: Database) -> Iterator[None]:
    """The database takes no transaction of this process."""

    def fail() -> Any:
        raise DatabaseUnavailableError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "transaction", fail)
        patch.setattr(database, "reading", fail)
        yield


@pytest.fixture
def process(spool: Spool) -> ProcessFile:
    """The file of a process that receives."""
    return ProcessFile(spool.processes)


@pytest.fixture
def receipts(database: Database, spool: Spool, process: ProcessFile) -> Receipts:
    """Of that process."""
    return Receipts(database, "test", spool, process=process)


def note_refusal(database: Database, receipts: Receipts) -> OpenedAssociation:
    """An association is opened and its data set refused, of which the database hears nothing."""
    opened = room()
    with unreachable(database):
        with pytest.raises(DatabaseUnavailableError):
            receipts.open_association(opened)
        refuse(receipts, "1.2.3.9", opened.id)
    return opened


def settled(database: Database, spool: Spool) -> Settled:
    return settle(ProcessFiles(spool.processes), Associations(database, "test"))


def test_answers_given_without_a_database_are_receipts_of_their_association_when_it_is_back(receiver: Receiver) -> None:
    with unreachable(receiver.database):
        with association(receiver.port, [(DX, EXPLICIT)], calling="ROOM7") as assoc:
            answers = [send_bytes(assoc, dx(uid), sop_class_uid=DX, sop_instance_uid=uid)[0] for uid in ("1.2.3.1", "1.2.3.2")]
        assert answers == [0xA700, 0xA700]
        # the end of the association, too: its thread may still be at it
        wait_for(lambda: len(receiver.process.notes()) == 4)
    wait_for(lambda: not receiver.process.notes())
    failed = ("A700", "database_failed")
    assert answered(receiver.database) == [("1.2.3.1", *failed), ("1.2.3.2", *failed)]
    assert {story.calling_ae_title for story in Evidence(receiver.database).received()} == {"ROOM7"}
    with receiver.database.reading() as session:
        assert session.scalars(select(AssociationRow.ending)).all() == ["released"]


def test_association_is_not_asked_of_a_database_that_is_known_to_take_nothing(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    original = Receipts.open_association

    def open_association(receipts: Receipts, opened: OpenedAssociation) -> str:
        asked.append(opened.calling_ae_title)
        return original(receipts, opened)

    monkeypatch.setattr(Receipts, "open_association", open_association)
    with unreachable(receiver.database):
        for calling in ("FIRST", "SECOND"):
            with association(receiver.port, [(DX, EXPLICIT)], calling=calling):
                wait_for(lambda: bool(receiver.process.notes()))
        # both beginnings and both ends
        wait_for(lambda: len(receiver.process.notes()) == 4)
    wait_for(lambda: not receiver.process.notes())
    assert asked == ["FIRST"]
    with receiver.database.reading() as session:
        rows = session.execute(select(AssociationRow.calling_ae_title, AssociationRow.ending)).all()
    assert sorted(tuple(row) for row in rows) == [("FIRST", "released"), ("SECOND", "released")]


def test_postgresql_that_goes_away_and_comes_back_gets_every_answer(
    postgres: PostgresCluster, tmp_path: Any, receivers: Callable[..., Receiver], database_url: str
) -> None:
    if not database_url.startswith("postgresql"):
        pytest.skip("for PostgreSQL")
    name = make_url(database_url).database
    receiver = receivers()
    with psycopg.connect(f"host=127.0.0.1 port={postgres.port} user=postgres dbname=postgres", autocommit=True) as operator:
        assert store(receiver, dx("1.2.3.1"), "1.2.3.1")[0] == 0
        operator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        operator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        assert store(receiver, dx("1.2.3.2"), "1.2.3.2")[0] == 0xA700
        operator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    wait_for(lambda: not receiver.process.notes())
    assert store(receiver, dx("1.2.3.2"), "1.2.3.2")[0] == 0
    assert [(uid, status) for uid, status, _ in answered(receiver.database)] == [
        ("1.2.3.1", "0000"),
        ("1.2.3.2", "A700"),
        ("1.2.3.2", "0000"),
    ]


def test_defect_of_ours_leaves_a_receipt(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    def commit(*_: Any, **__: Any) -> Any:
        raise RuntimeError("CANARY")

    monkeypatch.setattr(Receipts, "commit", commit)
    assert store(receiver, dx())[0] == 0x0110
    wait_for(lambda: bool(answered(receiver.database)))
    assert answered(receiver.database) == [("1.2.3.1", "0110", "internal_error")]


def test_failed_fsync_leaves_a_receipt_and_is_not_followed_by_another_in_the_spool(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []

    def fsync(descriptor: int) -> None:
        synced.append(descriptor)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "fdatasync", fsync)
    assert store(receiver, dx())[0] == 0xA700
    wait_for(lambda: bool(answered(receiver.database)))
    assert answered(receiver.database) == [("1.2.3.1", "A700", "spool_failed")]
    assert len(synced) == 1


def test_what_a_dead_process_has_noted_is_taken_up_once(database: Database, spool: Spool, process: ProcessFile, receipts: Receipts) -> None:
    opened = note_refusal(database, receipts)
    with unreachable(database):
        receipts.end_association(opened.id, "released")
    before = process.notes()
    # rows were committed, and it died before it could forget
    receipts.take_up()
    with unreachable(database):
        process.add(before)
    with process._path.open("r+b") as file:
        file.seek(process._end)
        file.write(b'{"kind":"refusal","id":')
    abandon(process)
    assert settled(database, spool) == Settled(ended=0, taken_up=3, unreadable=1)
    assert answered(database) == [("1.2.3.9", "C005", "pixel_data_truncated")]
    with database.reading() as session:
        assert session.scalars(select(AssociationRow.ending)).all() == ["released"]
    assert list(spool.processes.iterdir()) == []


def test_file_stays_until_the_database_has_what_stands_in_it(
    database: Database, spool: Spool, process: ProcessFile, receipts: Receipts
) -> None:
    with unreachable(database):
        refuse(receipts, "1.2.3.9", None)
        abandon(process)
        with pytest.raises(DatabaseUnavailableError):
            settled(database, spool)
    assert settled(database, spool).taken_up == 1
    assert len(answered(database)) == 1


def test_living_process_is_not_taken_from(database: Database, spool: Spool, process: ProcessFile, receipts: Receipts) -> None:
    with unreachable(database):
        refuse(receipts, "1.2.3.9", None)
    assert settled(database, spool).taken_up == 0
    assert len(process.notes()) == 1


def test_refusal_whose_association_was_never_noted_is_a_receipt_all_the_same(database: Database, receipts: Receipts) -> None:
    with unreachable(database):
        refuse(receipts, "1.2.3.9", "a" * 32)
    assert receipts.take_up() == 1
    (story,) = Evidence(database).received()
    assert story.association_id is None


def test_file_is_bounded_and_what_finds_no_room_is_told(database: Database, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_file, "_BYTES", 4096)
    process = ProcessFile(spool.processes)
    receipts = Receipts(database, "test", spool, process=process)
    (path,) = spool.processes.iterdir()
    # taken from the disk at once: it is needed when the disk is full
    assert path.stat().st_blocks * 512 >= 4096
    with unreachable(database):
        with pytest.raises(DatabaseUnavailableError):
            for number in range(100):
                refuse(receipts, f"1.2.3.{number}", None)
        assert path.stat().st_size == 4096
        noted = len(process.notes())
        assert 5 < noted < 20
    assert receipts.take_up() == noted
    with unreachable(database):
        refuse(receipts, "1.2.4", None)
    assert [note.sop_instance_uid for note in process.notes()] == ["1.2.4"]  # type: ignore[union-attr]


def test_note_that_comes_while_others_are_taken_up_is_not_forgotten(database: Database, process: ProcessFile, receipts: Receipts) -> None:
    with unreachable(database):
        refuse(receipts, "1.2.3.1", None)
        first = process.notes()
        refuse(receipts, "1.2.3.2", None)
    process.forget(first)
    assert process.news.is_set()
    assert receipts.take_up() == 2
    assert not process.news.is_set()
    assert len(answered(database)) == 2


def test_row_that_another_transaction_is_just_writing_is_no_failure_and_is_told_once(
    database: Database, process: ProcessFile, receipts: Receipts
) -> None:
    opened = note_refusal(database, receipts)
    _, refusal = process.notes()
    assert isinstance(refusal, Refusal)
    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as session:
            # a commit that the server was still at when the connection to it was lost
            add_association(session, opened, owner=process.owner, actor="test")
            add_refusal(session, refusal, actor="test")
            session.flush()
            taken_up = pool.submit(receipts.take_up)
            if database.dialect == "postgresql":
                wait_for(lambda: session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")) > 0)
        assert taken_up.result(SECONDS) == 2
    assert not process.notes()
    with database.reading() as session:
        told = session.scalars(select(AuditEventRow.event).order_by(AuditEventRow.seq)).all()
    assert told == [Event.ASSOCIATION_ACCEPTED, Event.INSTANCE_REFUSED]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_defect_while_notes_are_taken_up_is_logged_and_they_are_tried_again(
    database: Database, process: ProcessFile, receipts: Receipts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with unreachable(database):
        refuse(receipts, "1.2.3.9", None)
    take_up, failures = receipts.take_up, [RuntimeError("CANARY")]

    def fail_once() -> int:
        if failures:
            raise failures.pop()
        return take_up()

    monkeypatch.setattr(receipts, "take_up", fail_once)
    monkeypatch.setattr(catching_up, "_AGAIN_SECONDS", 0.01)
    thread = CatchingUp(receipts, on_fatal=pytest.fail)
    thread.start()
    wait_for(lambda: not process.notes())
    thread.stop(SECONDS)
    assert answered(database) == [("1.2.3.9", "C005", "pixel_data_truncated")]
    told = capsys.readouterr().out
    assert ("receipts:failed" in told, "CANARY" in told) == (True, False)
