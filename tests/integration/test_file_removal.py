"""Files go only from the spool that the database belongs to, and one that cannot be removed keeps no other."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.ops.retention import OrphanSearch
from gateway.store.database import Database
from gateway.store.orphans import Orphans, shard_at
from gateway.store.purging import Purging
from gateway.store.spool import SHARDS, Spool
from gateway.store.spool_binding import bind
from gateway.store.tables import FileRemovalRow

AGO = 2 * 86400


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """The rules do not depend on the database."""
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def other(tmp_path: Path) -> Spool:
    """Another installation's spool."""
    from gateway.store import schema

    found, database = Spool(tmp_path / "other"), Database(f"sqlite:///{tmp_path / 'other.db'}")
    schema.ensure(database)
    bind(found, database)
    database.close()
    return found


def old_result(spool: Spool, number: int = 1) -> str:
    name = spool.write("result", f"00{number:030x}", (b"result",))
    os.utime(spool.path(name), (time.time() - AGO,) * 2)
    return name


def listed(database: Database, *names: str) -> None:
    with database.transaction() as session:
        session.add_all(
            FileRemovalRow(file=name, decided_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)) for day, name in enumerate(names)
        )


def waiting(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(select(FileRemovalRow.file).order_by(FileRemovalRow.decided_at)))


def test_nothing_is_removed_from_another_installations_spool(database: Database, spool: Spool, other: Spool) -> None:
    bind(spool, database)
    name = old_result(other)
    listed(database, name)
    assert Orphans(database, other, "test").clear_shard("00") == 0
    assert Purging(database, other, "test").finish() == 0
    assert other.path(name).exists()
    assert waiting(database) == [name]


def test_nothing_is_called_removed_while_the_spool_is_not_mounted(database: Database, spool: Spool, tmp_path: Path) -> None:
    bind(spool, database)
    name = old_result(spool)
    listed(database, name)
    (tmp_path / "spool").rename(tmp_path / "away")
    assert Orphans(database, spool, "test").clear_shard("00") == 0
    assert Purging(database, spool, "test").finish() == 0
    (tmp_path / "away").rename(tmp_path / "spool")
    assert waiting(database) == [name]
    assert Purging(database, spool, "test").finish() == 1
    assert not spool.path(name).exists()


def test_file_that_cannot_be_removed_keeps_no_other_and_is_tried_after_them(database: Database, spool: Spool) -> None:
    bind(spool, database)
    stuck, good = "result/00/stuck.dcm", old_result(spool)
    spool.path(stuck).mkdir()
    listed(database, stuck, good)
    purging = Purging(database, spool, "test")
    assert purging.finish(limit=1) == 0
    assert waiting(database) == [good, stuck]
    assert purging.finish() == 1
    assert not spool.path(good).exists()
    assert waiting(database) == [stuck]
    spool.path(stuck).rmdir()
    assert purging.finish() == 1
    assert waiting(database) == []


def test_orphan_that_cannot_be_removed_keeps_no_other(database: Database, spool: Spool) -> None:
    bind(spool, database)
    stuck, good = "result/00/stuck.dcm", old_result(spool)
    spool.path(stuck).mkdir()
    os.utime(spool.path(stuck), (time.time() - AGO,) * 2)
    assert Orphans(database, spool, "test").clear_shard("00") == 1
    assert not spool.path(good).exists()


def test_search_goes_on_where_the_time_is_whoever_starts_it() -> None:
    looked: list[str] = []

    class Recorder:
        def clear_shard(self, shard: str) -> int:
            looked.append(shard)
            return 0

    now = 1_800_000_000.0
    for _ in range(3):
        OrphanSearch(orphans=Recorder(), clock=lambda: now).look()  # type: ignore[arg-type]
    assert looked == [shard_at(now)] * 3
    assert [shard_at(now + 300 * number) for number in range(257)][-1] == shard_at(now)
    assert {shard_at(now + 300 * number) for number in range(256)} == set(SHARDS)
