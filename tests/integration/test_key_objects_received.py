"""Key Object Selections over the wire: kept durably in either syntax, and never taken for an own result by who sends them."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.store.evidence import Evidence
from gateway.store.tables import JobRow
from tests.doubles.key_objects import EXPLICIT, IMPLICIT, KOS, WORKLIST, encoded, key_objects
from tests.integration.conftest import Receiver
from tests.integration.test_receiver import files
from tests.peers.raw_scu import association, send_bytes

JPEG_2000 = "1.2.840.10008.1.2.4.90"
UID = "1.2.9.1"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


def send(receiver: Receiver, content: bytes, *, syntax: str = EXPLICIT, calling: str = "PACS") -> int | None:
    with association(receiver.port, [(KOS, syntax)], calling=calling) as assoc:
        return send_bytes(assoc, content, sop_class_uid=KOS, sop_instance_uid=UID)[0]


def jobs(receiver: Receiver) -> list[str]:
    with receiver.database.reading() as session:
        return list(session.scalars(select(JobRow.kind)))


def document(model: str = "Archive") -> bytes:
    found = key_objects(WORKLIST, [("1.2.3.1", "1.2.4")], uid=UID)
    found.ManufacturerModelName = model
    return encoded(found)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_key_objects_are_kept_with_a_job_of_their_own(receiver: Receiver, syntax: str) -> None:
    content = encoded(key_objects(WORKLIST, [("1.2.3.1", "1.2.4")], uid=UID), syntax)
    assert [send(receiver, content, syntax=syntax) for _ in range(2)] == [0, 0]
    assert [receipt.reason for receipt in Evidence(receiver.database).received()] == ["stored", "received_again"]
    assert (len(files(receiver)), jobs(receiver)) == (1, ["apply_correction"])


def test_compressed_syntax_is_refused_for_what_has_no_pixels(receiver: Receiver) -> None:
    with association(receiver.port, [(KOS, JPEG_2000)]) as assoc:
        assert not assoc.is_established or not assoc.accepted_contexts


@pytest.mark.parametrize(
    "content", [document()[:-40], document() + b"\xe0\x7f\x10\x00OW\x00\x00\x02\x00\x00\x00\x00\x00"], ids=["truncated", "with_pixels"]
)
def test_damaged_document_is_refused_and_not_half_kept(receiver: Receiver, content: bytes) -> None:
    assert send(receiver, content) == 0xC001
    assert jobs(receiver) == []


def test_own_note_that_comes_back_is_acknowledged_and_not_kept(receiver: Receiver) -> None:
    assert send(receiver, document("strnet-gateway")) == 0
    assert [receipt.reason for receipt in Evidence(receiver.database).received()] == ["own_result"]
    assert jobs(receiver) == []


def test_rejection_under_our_own_title_is_somebody_elses_all_the_same(receiver: Receiver) -> None:
    assert send(receiver, document(), calling="STRNET") == 0
    assert jobs(receiver) == ["apply_correction"]
