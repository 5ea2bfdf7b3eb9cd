"""A SQLite file with damaged pages is refused at the start, with the remedy, and left as it is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import DatabaseDamagedError
from gateway.events import Event
from gateway.store import schema
from gateway.store.audit_log import AuditLog
from gateway.store.database import Database

PAGE = 4096


def zeros(content: bytes, page: int) -> bytes:
    return content[: page * PAGE] + bytes(PAGE) + content[(page + 1) * PAGE :]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "store.db"
    with closing(Database(f"sqlite:///{path}")) as database:
        schema.ensure(database)
        audit = AuditLog(database, "test")
        for number in range(50):
            audit.record(Event.ECHO_ANSWERED, pid=number)
    return path.read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: zeros(content, 0),
        lambda content: zeros(content, len(content) // PAGE - 1),
        lambda content: zeros(content, 5),
        lambda content: content[: len(content) // PAGE // 2 * PAGE],
    ],
    ids=["first page", "last page", "a page between", "half of it missing"],
)
def test_damaged_file_is_refused_and_left_as_it_is(whole: bytes, damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    file, hurt = tmp_path / "store.db", damage(whole)
    file.write_bytes(hurt)
    with closing(Database(f"sqlite:///{file}")) as database, pytest.raises(DatabaseDamagedError, match="restore"):
        schema.check_whole(database)
    assert file.read_bytes() == hurt


def test_whole_and_empty_databases_pass(database: Database, tmp_path: Path) -> None:
    schema.check_whole(database)
    with closing(Database(f"sqlite:///{tmp_path / 'new.db'}")) as empty:
        schema.check_whole(empty)
