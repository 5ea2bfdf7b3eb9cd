"""The C-STORE side against real and hand-built senders. What counts is what the store holds."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import func, select

from gateway.errors import DatabaseUnavailableError
from gateway.receive.sweep import Swept, sweep
from gateway.store.inventory import Inventory
from gateway.store.queries import Queries
from gateway.store.receipts import Receipts, digest_of
from gateway.store.spool import Spool
from gateway.store.tables import InstanceRow, JobRow, ReceiptRow
from tests.integration.conftest import Receiver
from tests.peers import dcmtk
from tests.peers.raw_scu import association, encoded, send_bytes, send_file

DX, EXPLICIT = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.1.2.1"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite alone: what the store does on PostgreSQL is tested beside it."""
    return f"sqlite:///{tmp_path / 'store.db'}"


def dx(uid: str = "1.2.3.1", **changes: object) -> bytes:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = DX, uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.4", "1.2.5"
    dataset.Modality, dataset.PatientID, dataset.AccessionNumber = "DX", "P1", "A1"
    dataset.Rows = dataset.Columns = 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 16, 12, 11, 0, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = bytes(128)
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    buffer = BytesIO()
    dataset.save_as(buffer, implicit_vr=False, little_endian=True)
    return buffer.getvalue()


def store(receiver: Receiver, content: bytes, uid: str = "1.2.3.1", *, sop_class: str = DX) -> tuple[int | None, str]:
    with association(receiver.port, [(DX, EXPLICIT)]) as assoc:
        return send_bytes(assoc, content, sop_class_uid=sop_class, sop_instance_uid=uid)


def counts(receiver: Receiver) -> tuple[int, int, int]:
    with receiver.database.reading() as session:
        found = [session.scalar(select(func.count()).select_from(row)) or 0 for row in (ReceiptRow, InstanceRow, JobRow)]
    return found[0], found[1], found[2]


def files(receiver: Receiver) -> list[Path]:
    return sorted(path for path in (receiver.folder / "instance").rglob("*") if path.is_file())


def reasons(receiver: Receiver) -> list[tuple[int, str]]:
    with receiver.database.reading() as session:
        return [(row.dimse_status, row.reason) for row in session.scalars(select(ReceiptRow).order_by(ReceiptRow.received_at))]


def swept_of(receiver: Receiver) -> Swept:
    return sweep(receiver.spool, Inventory(receiver.database, "test"), Receipts(receiver.database, "test", receiver.spool))


def test_echo_of_a_real_modality_is_answered(receiver: Receiver) -> None:
    dcmtk.need()
    assert dcmtk.echoscu(receiver.port) == 0


def test_real_modality_stores_and_the_bytes_are_kept_exactly(receiver: Receiver, cases: Path) -> None:
    dcmtk.need()
    source = cases / "d01_DX_knee_AP_L_12in16_mono2_utf8.dcm"
    assert "Received Store Response (Success)" in dcmtk.storescu([source], port=receiver.port)
    assert counts(receiver) == (1, 1, 1)
    (kept,) = files(receiver)
    with receiver.database.reading() as session:
        row = session.scalars(select(InstanceRow)).one()
    assert digest_of(memoryview(encoded(kept))) == row.dataset_digest
    assert kept.stem == row.id


def test_bytes_of_an_unread_sender_are_kept_exactly(receiver: Receiver) -> None:
    assert store(receiver, dx()) == (0, "")
    assert encoded(files(receiver)[0]) == dx()


def test_duplicate_is_answered_with_success_and_makes_no_second_job(receiver: Receiver) -> None:
    assert [store(receiver, dx())[0] for _ in range(3)] == [0, 0, 0]
    assert counts(receiver) == (3, 1, 1)
    assert len(files(receiver)) == 1


def test_instance_that_nobody_wants_is_stored_and_answered_with_success(receiver: Receiver) -> None:
    assert store(receiver, dx(Modality="DX", BodyPartExamined="CHEST"))[0] == 0
    assert counts(receiver) == (1, 1, 1)


@pytest.mark.parametrize(
    ("content", "uid", "status", "reason"),
    [
        (dx()[:-20], "1.2.3.1", 0xC005, "pixel_data_truncated"),
        (dx(NumberOfFrames=1_000_000), "1.2.3.1", 0xC005, "pixel_data_truncated"),
        (dx()[:200], "1.2.3.1", 0xC004, "pixel_data_missing"),
        (dx("1.2.3.99"), "1.2.3.1", 0xA900, "uid_mismatch"),
        (dx(SOPClassUID="1.2.840.10008.5.1.4.1.1.1"), "1.2.3.1", 0xA900, "uid_mismatch"),
        (dx(StudyInstanceUID=""), "1.2.3.1", 0xC002, "uid_missing"),
    ],
)
def test_defective_instance_gets_its_status_and_its_siblings_are_stored(
    receiver: Receiver, content: bytes, uid: str, status: int, reason: str
) -> None:
    with association(receiver.port, [(DX, EXPLICIT)]) as assoc:
        answers = [
            send_bytes(assoc, dx("1.2.3.7"), sop_class_uid=DX, sop_instance_uid="1.2.3.7")[0],
            send_bytes(assoc, content, sop_class_uid=DX, sop_instance_uid=uid)[0],
            send_bytes(assoc, dx("1.2.3.8"), sop_class_uid=DX, sop_instance_uid="1.2.3.8")[0],
        ]
    assert answers == [0, status, 0]
    assert reasons(receiver)[1] == (status, reason)
    assert len(files(receiver)) == 2


def test_class_that_was_not_negotiated_is_answered_0122(receiver: Receiver) -> None:
    cr = "1.2.840.10008.5.1.4.1.1.1"
    assert store(receiver, dx(SOPClassUID=cr), sop_class=cr)[0] == 0x0122


@pytest.mark.parametrize("uid", ["../../../tmp/evil", "/etc/passwd", "1.2.3'; DROP TABLE job"])
def test_hostile_uid_makes_no_file_outside_and_no_row(receiver: Receiver, uid: str) -> None:
    content = dx().replace(b"1.2.3.1\x00", b"X" * 8)
    assert store(receiver, content, uid[:8])[0] in (0xC003, 0xA900)
    assert files(receiver) == []
    assert counts(receiver)[1:] == (0, 0)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"])
def test_deflated_and_big_endian_are_refused_at_negotiation(receiver: Receiver, syntax: str) -> None:
    with association(receiver.port, [(DX, syntax)]) as assoc:
        assert not assoc.accepted_contexts


def test_deflated_file_finds_no_context(receiver: Receiver, cases: Path) -> None:
    assert send_file(receiver.port, cases / "r09_SC_deflated.dcm") == (None, "no context")


def test_full_disk_is_answered_a700_and_recovers(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    real_write = os.write

    def write(descriptor: int, content: Any) -> int:
        if "/spool/instance/" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(descriptor, content)

    monkeypatch.setattr(os, "write", write)
    assert store(receiver, dx()) == (0xA700, "Storage failed; send again later")
    assert files(receiver) == []
    monkeypatch.undo()
    assert store(receiver, dx())[0] == 0
    assert reasons(receiver) == [(0xA700, "spool_failed"), (0, "stored")]


def test_dead_database_is_answered_a700_and_leaves_no_file(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    def transaction() -> Any:
        raise DatabaseUnavailableError

    with association(receiver.port, [(DX, EXPLICIT)]) as assoc:
        monkeypatch.setattr(receiver.database, "transaction", transaction)
        monkeypatch.setattr(receiver.database, "reading", transaction)
        assert send_bytes(assoc, dx(), sop_class_uid=DX, sop_instance_uid="1.2.3.1")[0] == 0xA700
        assert files(receiver) == []
        monkeypatch.undo()
        assert send_bytes(assoc, dx(), sop_class_uid=DX, sop_instance_uid="1.2.3.1")[0] == 0
    assert counts(receiver)[1:] == (1, 1)


def test_commit_whose_answer_was_lost_keeps_the_file_and_the_resend_is_true(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Receipts.commit

    def commit(self: Receipts, *arguments: Any, **keywords: Any) -> Any:
        real(self, *arguments, **keywords)
        raise DatabaseUnavailableError

    monkeypatch.setattr(Receipts, "commit", commit)
    assert store(receiver, dx())[0] == 0xA700
    monkeypatch.undo()
    assert store(receiver, dx())[0] == 0
    (kept,) = files(receiver)
    assert encoded(kept) == dx()
    with receiver.database.reading() as session:
        assert receiver.spool.path(session.scalars(select(InstanceRow.file)).one()) == kept


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_success_is_answered_again_only_while_the_bytes_are_there(receiver: Receiver, damage: str) -> None:
    store(receiver, dx())
    (first,) = files(receiver)
    if damage == "gone":
        first.unlink()
    else:
        first.write_bytes(first.read_bytes()[:300])
    assert store(receiver, dx())[0] == 0
    with receiver.database.reading() as session:
        name = session.scalars(select(InstanceRow.file)).one()
    assert encoded(receiver.spool.path(name)) == dx()
    assert counts(receiver) == (2, 1, 1)


def test_sweep_survives_a_corrupt_instance_that_came_again(receiver: Receiver) -> None:
    store(receiver, dx())
    (first,) = files(receiver)
    first.write_bytes(first.read_bytes().replace(b"P1", b"P2"))
    with receiver.database.transaction() as session:
        session.execute(InstanceRow.__table__.update().values(state="corrupt", outcome="corrupt"))
    assert store(receiver, dx())[0] == 0
    for _ in range(2):
        swept_of(receiver)
    with receiver.database.reading() as session:
        row = session.scalars(select(InstanceRow)).one()
    assert (row.state, encoded(receiver.spool.path(row.file))) == ("stored", dx())
    assert store(receiver, dx("1.2.3.9"), "1.2.3.9")[0] == 0


def test_failed_fsync_is_answered_a700_and_nothing_is_accepted_after(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    assert store(receiver, dx())[0] == 0xA700
    monkeypatch.undo()
    assert receiver.server.failed.is_set()
    with association(receiver.port, [(DX, EXPLICIT)]) as assoc:
        assert assoc.is_rejected


def test_nearly_full_disk_rejects_associations_for_a_while(receivers: Callable[..., Receiver]) -> None:
    receiver = receivers(spool={"reserve_mb": 1 << 40})
    with association(receiver.port, [(DX, EXPLICIT)]) as assoc:
        assert assoc.is_rejected
        assert assoc.acceptor.primitive.result == 2


def test_draining_receiver_finishes_its_associations_and_takes_no_new_ones(receiver: Receiver) -> None:
    with association(receiver.port, [(DX, EXPLICIT)]) as open_one:
        drained: list[bool] = []
        thread = threading.Thread(target=lambda: drained.append(receiver.server.drain(20)))
        thread.start()
        while not receiver.server._draining.is_set():
            pass
        with association(receiver.port, [(DX, EXPLICIT)]) as new_one:
            assert new_one.is_rejected
        assert send_bytes(open_one, dx(), sop_class_uid=DX, sop_instance_uid="1.2.3.1")[0] == 0
    thread.join(20)
    assert drained == [True]
    assert counts(receiver) == (1, 1, 1)


def test_association_and_its_end_are_in_the_story(receiver: Receiver) -> None:
    store(receiver, dx())
    receiver.server.drain(5)
    (story,) = Queries(receiver.database).explain("1.2.3.1").instances
    (receipt,) = story.receipts
    assert (receipt.calling_ae_title, receipt.peer_address, receipt.transfer_syntax_uid) == ("RAWSCU", "127.0.0.1", EXPLICIT)


def test_sweep_removes_partial_files_adopts_orphans_and_marks_the_lost(receiver: Receiver) -> None:
    store(receiver, dx("1.2.3.1"), "1.2.3.1")
    store(receiver, dx("1.2.3.2"), "1.2.3.2")
    lost, orphan = files(receiver)
    with receiver.database.transaction() as session:
        session.execute(JobRow.__table__.delete().where(JobRow.subject == orphan.stem))
        session.execute(ReceiptRow.__table__.delete().where(ReceiptRow.instance_id == orphan.stem))
        session.execute(InstanceRow.__table__.delete().where(InstanceRow.id == orphan.stem))
    lost.unlink()
    partial = orphan.with_name("ff" * 16 + ".part")
    partial.write_bytes(b"half")
    swept = swept_of(receiver)
    assert (swept.partial, swept.adopted, swept.lost) == (1, 1, 1)
    assert not partial.exists()
    status = Queries(receiver.database).status()
    assert all(ledger.closed for ledger in status.ledgers)
    with receiver.database.reading() as session:
        states = {row.id: row.state for row in session.scalars(select(InstanceRow))}
    assert states == {lost.stem: "lost", orphan.stem: "stored"}
    assert reasons(receiver) == [(0, "stored")]
    assert store(receiver, dx("1.2.3.1"), "1.2.3.1")[0] == 0
    # the instance that came again has its old row and a new file: another sweep must leave it alone
    before = files(receiver)
    swept = swept_of(receiver)
    assert (swept.partial, swept.adopted, swept.lost) == (0, 0, 0)
    assert files(receiver) == before


def test_sweep_leaves_a_write_that_is_under_way(receiver: Receiver) -> None:
    partial = receiver.folder / "instance/ff" / ("ff" * 16 + ".part")
    with partial.open("wb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert swept_of(receiver).partial == 0
        assert partial.exists()
    assert swept_of(receiver).partial == 1
    assert not partial.exists()


def test_file_that_a_sweep_adopts_between_rename_and_commit_stays(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Receipts.commit

    def commit(self: Receipts, *arguments: Any, **keywords: Any) -> Any:
        assert swept_of(receiver).adopted == 1
        return real(self, *arguments, **keywords)

    monkeypatch.setattr(Receipts, "commit", commit)
    assert store(receiver, dx())[0] == 0
    (kept,) = files(receiver)
    assert encoded(kept) == dx()
    assert counts(receiver) == (1, 1, 1)
    assert swept_of(receiver) == Swept(partial=0, adopted=0, lost=0, strange=0)


def test_file_whose_row_comes_while_the_sweep_looks_stays(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    store(receiver, dx())
    monkeypatch.setattr(Inventory, "of_shard", lambda _self, _shard: {})
    monkeypatch.setattr(Inventory, "named", lambda _self, _files: set())
    assert swept_of(receiver).adopted == 0
    assert len(files(receiver)) == 1


def test_row_whose_file_comes_after_the_listing_is_not_lost(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    store(receiver, dx())
    monkeypatch.setattr(Spool, "names", lambda _self, _kind, _shard: set())
    assert swept_of(receiver).lost == 0


def test_unreadable_file_without_a_row_is_left_and_counted(receiver: Receiver) -> None:
    strange = receiver.folder / "instance/ff" / ("ff" * 16 + ".dcm")
    strange.write_bytes(b"no DICOM")
    assert swept_of(receiver).strange == 1
    assert strange.exists()
