"""Files taken in by `strnet-gateway ingest`: the checks of C-STORE, and those that only a file needs. What counts is what the store holds."""

from __future__ import annotations

import json
import os
import tarfile
import threading
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID
from typer.testing import CliRunner

from gateway.app.file_ingest import FileAnswer, ingest_files
from gateway.cli.main import app
from gateway.config import Settings, parse_settings
from gateway.dicom.part10 import split_file
from gateway.errors import SpoolNotDurableError
from gateway.store.database import Database
from gateway.store.evidence import Evidence
from gateway.store.queries import Queries
from gateway.store.receipts import digest_of
from gateway.store.spool import Spool
from tests.integration.test_receiver import DX, EXPLICIT, dx

DEFLATED = "1.2.840.10008.1.2.1.99"
MIB = 1024 * 1024


def part10(
    content: bytes,
    *,
    syntax: str = EXPLICIT,
    sop_class: str = DX,
    uid: str = "1.2.3.1",
    preamble: bytes = bytes(128),
    deflate: bool = False,
) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(sop_class), UID(uid)
    meta.TransferSyntaxUID, meta.ImplementationClassUID = UID(syntax), UID("1.2.3.4")
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta, enforce_standard=True)
    if deflate:
        encoder = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        content = encoder.compress(content) + encoder.flush()
    return preamble + b"DICM" + buffer.getvalue() + content


@dataclass
class Desk:
    """Where files are handed in."""

    settings: Settings
    database: Database
    spool: Spool
    folder: Path

    def take(self, *contents: bytes | Path) -> list[FileAnswer]:
        paths = [content if isinstance(content, Path) else self.file(content, f"{number}.dcm") for number, content in enumerate(contents)]
        return list(ingest_files(self.settings, self.database, paths))

    def file(self, content: bytes, name: str) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def kept(self) -> list[Path]:
        return sorted(self.settings.spool.folder.glob("instance/*/*.dcm"))


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Callable[..., Desk]:
    def make(**sections: Any) -> Desk:
        settings = parse_settings(
            {
                "spool": {"folder": str(tmp_path / "spool"), "reserve_mb": 0, **sections.pop("spool", {})},
                "serve": {"development": True},
                **sections,
            }
        )
        folder = tmp_path / "given"
        folder.mkdir(exist_ok=True)
        return Desk(settings, database, Spool(settings.spool.folder), folder)

    return make


def test_file_becomes_an_instance_with_receipt_job_and_its_way_on_record(desk: Callable[..., Desk], cases: Path) -> None:
    here = desk()
    source = cases / "d01_DX_knee_AP_L_12in16_mono2_utf8.dcm"
    (answer,) = here.take(source)
    assert (answer.file, answer.dimse_status, answer.reason) == (str(source), "0000", "stored")
    (receipt,) = Evidence(here.database).received()
    assert (receipt.way, receipt.calling_ae_title, receipt.peer_address, receipt.dimse_status) == ("ingest", "INGEST", "local", "0000")
    assert split_file(here.kept()[0], max_bytes=1 << 30)[1].getvalue() == split_file(source, max_bytes=1 << 30)[1].getvalue()
    assert all(ledger.closed for ledger in Queries(here.database).status().ledgers)


def test_file_again_is_one_more_receipt(desk: Callable[..., Desk]) -> None:
    assert [answer.reason for answer in desk().take(part10(dx()), part10(dx()))] == ["stored", "received_again"]


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        (part10(dx()[:-20]), "C005", "pixel_data_truncated"),
        (part10(dx()[:200]), "C004", "pixel_data_missing"),
        (part10(dx(NumberOfFrames=1_000_000)), "C005", "pixel_data_truncated"),
        (part10(dx(StudyInstanceUID="")), "C002", "uid_missing"),
        (part10(dx("1.2.3.99")), "A900", "uid_mismatch"),
        (part10(dx(), syntax="1.2.840.10008.1.2"), "C005", "pixel_data_truncated"),
    ],
)
def test_damaged_data_set_is_answered_as_by_c_store_and_has_its_receipt(
    desk: Callable[..., Desk], content: bytes, status: str, reason: str
) -> None:
    here = desk()
    answers = here.take(part10(dx("1.2.3.7"), uid="1.2.3.7"), content, part10(dx("1.2.3.8"), uid="1.2.3.8"))
    assert [answer.dimse_status for answer in answers] == ["0000", status, "0000"]
    assert answers[1].reason == reason
    assert [receipt.reason for receipt in Evidence(here.database).received()] == ["stored", reason, "stored"]
    assert len(here.kept()) == 2


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("d08_truncated_pixels_60pct.dcm", "C005", "pixel_data_truncated"),
        ("m02_numberofframes_million.dcm", "C005", "pixel_data_truncated"),
        ("r09_SC_deflated.dcm", "0000", "stored"),
        ("r10_no_meta_no_preamble.dcm", "refused", "no_preamble"),
        ("m01_stray_seq_delim.dcm", "0000", "stored"),
        ("r03_CR_chest_PA_mono1_15bit_j2k91.dcm", "0000", "stored"),
    ],
)
def test_real_file_gets_its_answer(desk: Callable[..., Desk], cases: Path, name: str, status: str, reason: str) -> None:
    (answer,) = desk().take(cases / name)
    assert (answer.dimse_status, answer.reason) == (status, reason)


def test_deflated_file_is_kept_inflated_in_explicit_little_endian(desk: Callable[..., Desk]) -> None:
    here = desk()
    (answer,) = here.take(part10(dx(), syntax=DEFLATED, deflate=True))
    assert answer.reason == "stored"
    syntax, content = split_file(here.kept()[0], max_bytes=MIB)
    assert (syntax, content.getvalue()) == (EXPLICIT, dx())
    (receipt,) = Evidence(here.database).received()
    assert receipt.transfer_syntax_uid == EXPLICIT


def test_same_image_deflated_and_plain_is_one_instance(desk: Callable[..., Desk]) -> None:
    answers = desk().take(part10(dx()), part10(dx(), syntax=DEFLATED, deflate=True))
    assert [answer.reason for answer in answers] == ["stored", "received_again"]


def test_deflate_bomb_is_refused_before_it_unfolds(desk: Callable[..., Desk]) -> None:
    here = desk(receiver={"max_message_mb": 8, "memory_mb": 16})
    bomb = here.file(part10(dx() + bytes(100 * MIB), syntax=DEFLATED, deflate=True), "bomb.dcm")
    assert bomb.stat().st_size < MIB
    tracemalloc.start()
    try:
        (answer,) = here.take(bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (answer.dimse_status, answer.reason) == ("refused", "too_long")
    assert peak < 32 * MIB


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (part10(dx(), syntax=DEFLATED, deflate=True)[:-9], "deflate_damaged"),
        (part10(b"\xff" * 500, syntax=DEFLATED), "deflate_damaged"),
        (part10(dx(), syntax="1.2.840.10008.1.2.2"), "syntax_not_accepted"),
        (part10(dx(), syntax="1.2.840.10008.1.2.4.100"), "syntax_not_accepted"),
        (part10(dx(), sop_class="1.2.840.10008.5.1.4.1.1.88.33"), "class_not_accepted"),
        (part10(b"", sop_class="1.2.840.10008.1.3.10", uid="1.2.3.5"), "dicomdir"),
        (b"", "no_preamble"),
        (b"%PDF-1.4" + bytes(300), "no_preamble"),
        (b"\x1f\x8b" + bytes(300), "archive"),
        (bytes(128) + b"DICM", "meta_damaged"),
        (bytes(128) + b"DICM" + b"\x02\x00\x10\x00UI\xff\xff1.2", "meta_damaged"),
        (bytes(128) + b"DICM" + b"\x02\x00\x10\x00OB\x00\x00\xff\xff\xff\x7f1.2", "meta_damaged"),
    ],
)
def test_what_is_no_acceptable_file_is_refused_with_its_code_and_in_words(desk: Callable[..., Desk], content: bytes, reason: str) -> None:
    here = desk()
    (answer,) = here.take(content)
    assert (answer.dimse_status, answer.reason) == ("refused", reason)
    assert len(answer.words.split()) >= 3
    assert here.kept() == []
    assert Evidence(here.database).received() == ()


def test_archives_are_refused_unopened(desk: Callable[..., Desk], tmp_path: Path) -> None:
    here = desk()
    image = here.file(part10(dx()), "image.dcm")
    with zipfile.ZipFile(here.folder / "study.zip", "w") as archive:
        archive.writestr("../../escape.dcm", image.read_bytes())
    with tarfile.open(here.folder / "study.tar", "w") as archive:
        archive.add(image, arcname="/escape.dcm")
    answers = here.take(here.folder / "study.zip", here.folder / "study.tar")
    assert [(answer.reason, answer.words) for answer in answers] == [("archive", "an archive: unpack it first")] * 2
    assert list(tmp_path.rglob("escape*")) == []


def test_file_that_is_an_image_and_something_else_is_kept_without_its_preamble(desk: Callable[..., Desk]) -> None:
    here = desk()
    preamble = (b"PK\x03\x04" + b"MZ#!/bin/sh\nid\n").ljust(128, b"X")
    (answer,) = here.take(part10(dx(), preamble=preamble))
    assert answer.reason == "stored"
    assert here.kept()[0].read_bytes()[:132] == bytes(128) + b"DICM"


def test_dicomdir_is_refused_and_nothing_it_names_is_opened(desk: Callable[..., Desk]) -> None:
    here = desk()
    outside = here.file(part10(dx()), "outside.dcm")
    directory = dx().replace(b"A1", b"..") + str(outside).encode()
    (answer,) = here.take(part10(directory, sop_class="1.2.840.10008.1.3.10", uid="1.2.3.5"))
    assert answer.reason == "dicomdir"
    assert here.kept() == []


def test_pipe_or_socket_is_refused_and_not_waited_for(desk: Callable[..., Desk]) -> None:
    here = desk()
    pipe = here.folder / "pipe"
    os.mkfifo(pipe)
    answers: list[FileAnswer] = []
    thread = threading.Thread(target=lambda: answers.extend(here.take(pipe)), daemon=True)
    thread.start()
    thread.join(20)
    assert [answer.reason for answer in answers] == ["not_a_file"]


def test_file_over_the_limit_is_refused_unread(desk: Callable[..., Desk]) -> None:
    here = desk(receiver={"max_message_mb": 1, "memory_mb": 2})
    big = here.folder / "big.dcm"
    with big.open("wb") as file:
        file.truncate(1 << 33)
    assert here.take(big)[0].reason == "too_long"


def test_nothing_is_taken_in_below_the_reserve_of_the_disk(desk: Callable[..., Desk]) -> None:
    here = desk(spool={"reserve_mb": 1 << 40})
    (answer,) = here.take(part10(dx()))
    assert (answer.dimse_status, answer.reason) == ("refused", "spool_refuses")
    assert here.kept() == []


def test_page_of_a_gateway_is_not_taken_in(desk: Callable[..., Desk]) -> None:
    here = desk()
    secondary_capture = "1.2.840.10008.5.1.4.1.1.7"
    page = dx(SOPClassUID=secondary_capture, ManufacturerModelName="strnet-gateway")
    (answer,) = here.take(part10(page, sop_class=secondary_capture))
    assert (answer.dimse_status, answer.reason) == ("0000", "own_result")
    assert here.kept() == []


def test_failed_fsync_ends_it(desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    here = desk()
    here.spool.prepare()

    def write(*_arguments: object, **_keywords: object) -> str:
        raise SpoolNotDurableError

    monkeypatch.setattr(Spool, "write", write)
    with pytest.raises(SpoolNotDurableError):
        here.take(part10(dx()), part10(dx("1.2.3.2"), uid="1.2.3.2"))


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Any]:
    config = tmp_path / "config.toml"
    config.write_text("[serve]\ndevelopment = true\n[spool]\nreserve_mb = 0\n")

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["ingest", *arguments, "--config", str(config)])

    return run


def test_command_tells_what_became_of_each_file_and_ends_with_a_code(command: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "cd"
    (folder / "IMAGES").mkdir(parents=True)
    (folder / "IMAGES" / "I1").write_bytes(part10(dx()))
    good = command(str(folder))
    assert good.exit_code == 0
    assert "1 of 1 file(s): stored 1" in good.stdout
    assert good.stderr == "", "a bar is for a terminal"
    (folder / "DICOMDIR").write_bytes(part10(b"", sop_class="1.2.840.10008.1.3.10", uid="1.2.3.5"))
    mixed = command(str(folder), "--json")
    assert mixed.exit_code == 1
    found = {Path(answer["file"]).name: (answer["dimse_status"], answer["reason"]) for answer in json.loads(mixed.stdout)}
    assert found == {"I1": ("0000", "received_again"), "DICOMDIR": ("refused", "dicomdir")}
    assert command(str(tmp_path / "absent")).exit_code == 2
    (tmp_path / "empty").mkdir()
    assert command(str(tmp_path / "empty")).exit_code == 1


def test_digest_of_a_file_is_that_of_its_data_set(desk: Callable[..., Desk]) -> None:
    here = desk()
    here.take(part10(dx()))
    from gateway.store.instances import Instances

    assert Instances(here.database).get(here.kept()[0].stem).dataset_digest == digest_of(memoryview(dx()))
