"""What each situation is answered: docs/intake.md's table, line by line, by a real or a hand-built sender."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gateway.errors import DatabaseUnavailableError
from gateway.receive.storage_scp import StorageScp
from gateway.store.spool import Spool
from gateway.store.tables import AuditEventRow
from tests.integration.conftest import Receiver
from tests.integration.test_receiver import DX, EXPLICIT, counts, dx, files, reasons
from tests.integration.test_unrecorded_answers import wait_for
from tests.peers import dcmtk
from tests.peers.raw_scu import association, encoded, send_bytes

CR, CT, BIG_ENDIAN = "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.2"
ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"
PERMANENT, TRANSIENT = 1, 2
BY_USER, BY_PRESENTATION = 1, 3
CLASS_REFUSED, SYNTAX_REFUSED = 3, 4


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite alone: what the store does on PostgreSQL is tested beside it."""
    return f"sqlite:///{tmp_path / 'store.db'}"


# --- answered with success ------------------------------------------------------------------------------------------------------


def test_new_instance_is_durable_and_answered_0000(receiver: Receiver, tmp_path: Path) -> None:
    dcmtk.need()
    assert "Received Store Response (Success)" in dcmtk.storescu([part10(tmp_path, dx())], port=receiver.port)
    assert reasons(receiver) == [(0, "stored")]
    assert encoded(files(receiver)[0]) == dx()


def test_same_uid_and_bytes_are_answered_0000_and_make_no_second_job(receiver: Receiver, tmp_path: Path) -> None:
    dcmtk.need()
    file = part10(tmp_path, dx())
    said = dcmtk.storescu([file, file], port=receiver.port)
    assert said.count("Received Store Response (Success)") == 2
    assert reasons(receiver) == [(0, "stored"), (0, "received_again")]
    assert counts(receiver) == (2, 1, 1)


def test_same_uid_and_other_bytes_are_answered_0000_and_both_are_kept(receiver: Receiver, tmp_path: Path) -> None:
    dcmtk.need()
    (tmp_path / "other").mkdir()
    both = [part10(tmp_path, dx()), part10(tmp_path / "other", dx(PixelData=b"\x01" * 128))]
    assert dcmtk.storescu(both, port=receiver.port).count("Received Store Response (Success)") == 2
    assert counts(receiver) == (2, 2, 2)
    assert sorted(encoded(kept)[-128:] for kept in files(receiver)) == [bytes(128), b"\x01" * 128]


def test_instance_that_no_route_wants_is_answered_0000_and_its_siblings_follow(receiver: Receiver, tmp_path: Path) -> None:
    dcmtk.need()
    for number in range(2):
        (tmp_path / str(number)).mkdir()
    unwanted = part10(tmp_path / "0", dx("1.2.3.1", BodyPartExamined="CHEST"))
    wanted = part10(tmp_path / "1", dx("1.2.3.2", BodyPartExamined="KNEE"))
    # DCMTK's sender stops at the first failure status: a refusal here would cost the second one
    assert dcmtk.storescu([unwanted, wanted], port=receiver.port).count("Received Store Response (Success)") == 2
    assert counts(receiver) == (2, 2, 2)


# --- refused at negotiation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sop_class", "syntax", "result"), [(ULTRASOUND, EXPLICIT, CLASS_REFUSED), (DX, BIG_ENDIAN, SYNTAX_REFUSED)], ids=["class", "syntax"]
)
def test_context_that_is_not_configured_is_refused(receiver: Receiver, sop_class: str, syntax: str, result: int) -> None:
    with association(receiver.port, [(DX, EXPLICIT), (sop_class, syntax)]) as assoc:
        assert [context.result for context in assoc.rejected_contexts] == [result]
        assert send_bytes(assoc, dx(), sop_class_uid=DX, sop_instance_uid="1.2.3.1")[0] == 0


@pytest.mark.parametrize(
    ("called", "calling", "reason"), [("WRONG", "RAWSCU", 7), ("STRNET", "STRANGER", 3)], ids=["called AE title", "calling AE title"]
)
def test_wrong_ae_title_is_rejected_for_good(receivers: Callable[..., Receiver], called: str, calling: str, reason: int) -> None:
    receiver = receivers(serve={"development": False}, peers=[{"name": "room", "ae_title": "RAWSCU"}])
    with association(receiver.port, [(DX, EXPLICIT)], called=called, calling=calling) as assoc:
        assert rejection(assoc) == (PERMANENT, BY_USER, reason)
    receiver.server.drain(5)
    assert audited(receiver, "association:rejected")


def test_one_association_too_many_is_rejected_for_a_while(receivers: Callable[..., Receiver]) -> None:
    receiver = receivers(receiver={"port": 0, "max_associations": 1})
    with association(receiver.port, [(DX, EXPLICIT)]) as first:
        with association(receiver.port, [(DX, EXPLICIT)]) as second:
            assert rejection(second) == (TRANSIENT, BY_PRESENTATION, 2)
        assert send_bytes(first, dx(), sop_class_uid=DX, sop_instance_uid="1.2.3.1")[0] == 0


def test_draining_receiver_rejects_for_a_while(receiver: Receiver) -> None:
    with association(receiver.port, [(DX, EXPLICIT)]) as open_one:
        draining = threading.Thread(target=receiver.server.drain, args=(20,))
        draining.start()
        assert receiver.server._draining.wait(20)
        with association(receiver.port, [(DX, EXPLICIT)]) as late:
            assert rejection(late) == (TRANSIENT, BY_PRESENTATION, 1)
        assert send_bytes(open_one, dx(), sop_class_uid=DX, sop_instance_uid="1.2.3.1")[0] == 0
    draining.join(20)


def test_disk_below_the_reserve_rejects_until_the_watermark_is_free_again(
    receivers: Callable[..., Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = receivers(spool={"reserve_mb": 1000, "resume_margin_mb": 200})
    real = os.statvfs

    def free_mb(megabytes: int) -> None:
        def statvfs(path: Any) -> Any:
            found = list(real(path))
            found[1] = 4096
            found[4] = megabytes * 256
            return os.statvfs_result(found)

        monkeypatch.setattr(os, "statvfs", statvfs)

    for megabytes, accepted in ((1001, True), (1000, False), (1150, False), (1201, True), (1001, True)):
        free_mb(megabytes)
        with association(receiver.port, [(DX, EXPLICIT)]) as assoc:
            assert assoc.is_established == accepted, megabytes
            if not accepted:
                assert rejection(assoc) == (TRANSIENT, BY_PRESENTATION, 1)
    assert audited(receiver, "spool:refuses") == [{"reason": "no_space"}]
    assert audited(receiver, "spool:accepts") == [{}]


@pytest.mark.parametrize(
    ("place", "value", "reason"), [(7, 99, "no_inodes"), (8, os.ST_RDONLY, "not_writable")], ids=["inodes", "read-only"]
)
def test_spool_that_cannot_take_files_rejects_for_a_while(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, place: int, value: int, reason: str
) -> None:
    real = os.statvfs

    def statvfs(path: Any) -> Any:
        found = list(real(path))
        found[5], found[place] = 1_000_000, value
        return os.statvfs_result(found)

    monkeypatch.setattr(os, "statvfs", statvfs)
    assert receiver.spool.obstacle(0) == reason
    with association(receiver.port, [(DX, EXPLICIT)]) as assoc:
        assert rejection(assoc) == (TRANSIENT, BY_PRESENTATION, 1)
    monkeypatch.undo()
    with association(receiver.port, [(DX, EXPLICIT)]) as assoc:
        assert assoc.is_established


# --- refused by status ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refused:
    """A data set that is refused, beside two siblings that are stored over the same association."""

    situation: str
    content: bytes
    status: int
    reason: str
    sop_class: str = DX
    sop_instance: str = "1.2.3.1"


DEEP = dx()[: dx().index(b"\x08\x00\x60\x00")] + b"\x08\x00\x15\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 100
REFUSED = [
    Refused("SOP instance UID differs from the command's", dx("1.2.3.99"), 0xA900, "uid_mismatch"),
    Refused("SOP class UID differs from the command's", dx(SOPClassUID=CR), 0xA900, "uid_mismatch"),
    Refused("SOP class of the command is not the negotiated one", dx(SOPClassUID=CR), 0x0122, "class_not_negotiated", sop_class=CR),
    Refused("sequences nested without end", DEEP, 0xC001, "unreadable"),
    Refused("data set without any UID", b"\x08\x00\x60\x00CS\x02\x00DX", 0xC002, "uid_missing"),
    Refused("study UID missing", dx(StudyInstanceUID=""), 0xC002, "uid_missing"),
    Refused("UID of illegal form", dx().replace(b"1.2.4\x00", b"1.2..4"), 0xC003, "uid_illegal"),
    Refused("no pixel data", dx()[: dx().index(b"\xe0\x7f\x10\x00")], 0xC004, "pixel_data_missing"),
    Refused("pixel data one byte short", dx()[:-1], 0xC005, "pixel_data_truncated"),
    Refused("pixel data shorter than rows and columns say", dx(Rows=9), 0xC005, "pixel_data_truncated"),
    Refused("no rows", dx(Rows=0), 0xC006, "pixel_description"),
]


@pytest.mark.parametrize("case", REFUSED, ids=[case.situation for case in REFUSED])
def test_defective_data_set_gets_its_status_and_its_siblings_are_stored(receiver: Receiver, case: Refused) -> None:
    with association(receiver.port, [(DX, EXPLICIT)]) as assoc:
        before = send_bytes(assoc, dx("1.2.3.7"), sop_class_uid=DX, sop_instance_uid="1.2.3.7")
        status, comment = send_bytes(assoc, case.content, sop_class_uid=case.sop_class, sop_instance_uid=case.sop_instance)
        after = send_bytes(assoc, dx("1.2.3.8"), sop_class_uid=DX, sop_instance_uid="1.2.3.8")
    assert (before[0], status, after[0]) == (0, case.status, 0)
    assert len(comment) <= 64
    assert "P1" not in comment
    assert reasons(receiver) == [(0, "stored"), (case.status, case.reason), (0, "stored")]
    assert len(files(receiver)) == 2


def test_data_set_over_the_limit_is_refused_and_its_siblings_are_stored(receivers: Callable[..., Receiver]) -> None:
    receiver = receivers(receiver={"port": 0, "max_message_mb": 1, "memory_mb": 4})
    large = dx("1.2.3.1", Rows=800, Columns=800, PixelData=bytes(2 * 800 * 800))
    with association(receiver.port, [(DX, EXPLICIT)]) as assoc:
        assert send_bytes(assoc, large, sop_class_uid=DX, sop_instance_uid="1.2.3.1")[0] == 0xC007
        assert send_bytes(assoc, dx("1.2.3.2"), sop_class_uid=DX, sop_instance_uid="1.2.3.2")[0] == 0
    assert reasons(receiver) == [(0xC007, "too_long"), (0, "stored")]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_spool_that_fails_is_answered_a700_and_leaves_nothing(receiver: Receiver, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def write(_self: Spool, _partial: Path, _final: Path, _parts: Any) -> None:
        raise OSError(code, os.strerror(code))

    with association(receiver.port, [(DX, EXPLICIT)]) as assoc:
        monkeypatch.setattr(Spool, "_write_and_rename", write)
        status, comment = send_bytes(assoc, dx(), sop_class_uid=DX, sop_instance_uid="1.2.3.1")
        monkeypatch.undo()
        assert (status, len(comment) <= 64) == (0xA700, True)
        assert send_bytes(assoc, dx(), sop_class_uid=DX, sop_instance_uid="1.2.3.1")[0] == 0
    assert reasons(receiver) == [(0xA700, "spool_failed"), (0, "stored")]
    assert len(files(receiver)) == 1


def test_database_that_is_down_is_answered_a700_and_recovers(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    def transaction() -> Any:
        raise DatabaseUnavailableError

    with association(receiver.port, [(DX, EXPLICIT)]) as assoc:
        monkeypatch.setattr(receiver.database, "transaction", transaction)
        assert send_bytes(assoc, dx(), sop_class_uid=DX, sop_instance_uid="1.2.3.1")[0] == 0xA700
        monkeypatch.undo()
        assert send_bytes(assoc, dx(), sop_class_uid=DX, sop_instance_uid="1.2.3.1")[0] == 0
    # the receipt of the first answer comes by itself
    wait_for(lambda: not receiver.process.notes())
    assert sorted(reasons(receiver)) == [(0, "stored"), (0xA700, "database_failed")]
    assert counts(receiver)[1:] == (1, 1)


def test_defect_of_ours_is_answered_0110_and_costs_one_instance(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_self: StorageScp, _request: object) -> None:
        raise ZeroDivisionError

    with association(receiver.port, [(DX, EXPLICIT)]) as assoc:
        monkeypatch.setattr(StorageScp, "_accept", broken)
        assert send_bytes(assoc, dx(), sop_class_uid=DX, sop_instance_uid="1.2.3.1")[0] == 0x0110
        monkeypatch.undo()
        assert send_bytes(assoc, dx(), sop_class_uid=DX, sop_instance_uid="1.2.3.1")[0] == 0


# --- helpers --------------------------------------------------------------------------------------------------------------------


def part10(folder: Path, content: bytes) -> Path:
    """A file that DCMTK's sender reads, over a data set's bytes."""
    from io import BytesIO

    from gateway.dicom.part10 import file_head, read_received

    path = folder / "instance.dcm"
    path.write_bytes(file_head(read_received(BytesIO(content), EXPLICIT).identity, EXPLICIT) + content)
    return path


def rejection(assoc: Any) -> tuple[int, int, int]:
    """Result, source and reason (PS3.8 9.3.4)."""
    assert assoc.is_rejected
    answer = assoc.acceptor.primitive
    return answer.result, answer.result_source, answer.diagnostic


def audited(receiver: Receiver, event: str) -> list[dict[str, object]]:
    with receiver.database.reading() as session:
        rows = session.scalars(select(AuditEventRow).where(AuditEventRow.event == event).order_by(AuditEventRow.seq))
        return [row.detail for row in rows]
