"""On what `serve` and `ingest` promise anything: a real tmpfs, and whatever lies under the tests."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.app import preflight
from gateway.app.file_ingest import ingest_files
from gateway.app.preflight import check_file_systems, prepare_spool
from gateway.config import Settings, parse_settings
from gateway.errors import FileSystemError
from gateway.store import schema
from gateway.store.database import Database
from gateway.store.file_systems import Mount, mount_under

MEMORY = Path("/dev/shm")
PEERS = [{"name": "room", "ae_title": "ROOM"}]


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'another.db'}"


@pytest.fixture
def in_memory() -> Iterator[Path]:
    if mount_under(MEMORY).file_system != "tmpfs":
        pytest.skip("there is no tmpfs at /dev/shm")
    folder = MEMORY / f"strnet-{uuid.uuid4().hex}"
    yield folder
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    if folder.exists():
        folder.rmdir()


def settings(spool: Path, database: Path, /, *, development: bool = False, **sections: dict[str, Any]) -> Settings:
    merged: dict[str, dict[str, Any]] = {"spool": {"folder": str(spool)}, "database": {"url": f"sqlite:///{database}"}}
    for name, section in sections.items():
        merged.setdefault(name, {}).update(section)
    return parse_settings({"serve": {"development": development}, "peers": [] if development else PEERS, **merged})


def prepare(found: Settings) -> None:
    check_file_systems(found)
    database = Database(found.database.url)
    schema.ensure(database)
    try:
        prepare_spool(found, database)
    finally:
        database.close()


def vouched(path: Path) -> dict[str, Any]:
    """For what lies under the tests: a container's layer, perhaps."""
    return {"vouched_file_system": mount_under(path).file_system}


def test_spool_in_memory_is_refused_with_the_remedy_and_nothing_is_made(in_memory: Path, tmp_path: Path) -> None:
    with pytest.raises(FileSystemError, match=r"vouched_file_system.*\[spool: tmpfs on /dev/shm\]"):
        preflight.prepare(settings(in_memory, tmp_path / "store.db", database=vouched(tmp_path)), actor="test")
    assert not in_memory.exists()
    assert not (tmp_path / "store.db").exists()


def test_nothing_is_ingested_into_memory(in_memory: Path, tmp_path: Path, database: Database) -> None:
    with pytest.raises(FileSystemError):
        next(ingest_files(settings(in_memory, tmp_path / "store.db", database=vouched(tmp_path)), database, [tmp_path / "a.dcm"]))
    assert not in_memory.exists()


def test_database_in_memory_is_refused(in_memory: Path, tmp_path: Path) -> None:
    in_memory.mkdir()
    with pytest.raises(FileSystemError, match=r"\[database: tmpfs on /dev/shm\]"):
        prepare(settings(tmp_path / "spool", in_memory / "store.db", spool=vouched(tmp_path)))


def test_development_set_up_is_taken_anywhere_and_the_log_says_so(
    in_memory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(settings(in_memory, tmp_path / "store.db", development=True))
    assert (in_memory / "instance/00").is_dir()
    told = capsys.readouterr().out
    assert "spool:not_proven" in told
    assert "code=development" in told


def test_vouching_covers_the_type_that_was_named_and_no_other(in_memory: Path, tmp_path: Path) -> None:
    database = vouched(tmp_path)
    with pytest.raises(FileSystemError):
        prepare(settings(in_memory, tmp_path / "store.db", spool={"vouched_file_system": "nfs4"}, database=database))
    prepare(settings(in_memory, tmp_path / "store.db", spool={"vouched_file_system": "tmpfs"}, database=database))


def test_disk_that_keeps_its_word_needs_no_vouching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "mount_under", lambda path: Mount(point=path, file_system="xfs"))
    prepare(settings(tmp_path / "spool", tmp_path / "store.db"))
