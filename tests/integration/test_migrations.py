"""A database of an older release, with rows in every table, becomes this release's on both databases: nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import JSON, Boolean, Column, Connection, DateTime, Float, Integer, MetaData, Table, event, func, select, text

from gateway.store import schema
from gateway.store.bundles import Bundles
from gateway.store.database import Database
from gateway.store.tables.base import Base
from tests.peers.postgresql import PostgresCluster

_FROM: Final = "0009"
_ROWS: Final = (1, 2)
_ONE_ROW: Final = {"spool"}
_NEXT: Final = {"alembic_version"}
_SAID: Final[dict[tuple[str, str], Any]] = {
    ("assessment", "decision"): "quality_blank",
    ("bundle_version", "state"): "live",
    ("job", "kind"): "deliver_result",
    ("job", "state"): "queued",
}
_EMPTY: Final = {"assessment": ("logit", "score", "threshold", "severity_logit", "t_score", "saliency_file", "engine_profile")}


@pytest.fixture
def older(database_url: str) -> Iterator[Database]:
    found = Database(database_url)
    schema.migrate(found, _FROM)
    yield found
    found.close()


def value(column: Column[Any], number: int) -> Any:
    kind = column.type
    if column.nullable and column.name in _EMPTY.get(column.table.name, ()):
        return None
    if (column.table.name, column.name) in _SAID:
        return _SAID[column.table.name, column.name]
    if isinstance(kind, DateTime):
        return datetime(2026, 1, number, tzinfo=UTC)
    if isinstance(kind, JSON):
        return []
    for plain, made in ((Boolean, False), (Integer, number), (Float, 0.5)):
        if isinstance(kind, plain):
            return made
    return str(number)


def fill(connection: Connection, table: Table) -> None:
    for number in _ROWS[:1] if table.name in _ONE_ROW else _ROWS:
        row = {column.name: value(column, number) for column in table.columns}
        for column in table.columns:
            for key in column.foreign_keys:
                row[column.name] = connection.scalars(select(key.column).order_by(key.column)).all()[number - 1]
        connection.execute(table.insert().values(row))


def counts(database: Database) -> dict[str, int]:
    found = MetaData()
    found.reflect(database.engine)
    with database.engine.connect() as connection:
        return {table.name: connection.scalar(select(func.count()).select_from(table)) or 0 for table in found.sorted_tables}


def test_rows_of_an_older_release_stay_and_its_live_bundles_are_in_shadow(older: Database) -> None:
    there = MetaData()
    there.reflect(older.engine)
    with older.engine.begin() as connection:
        for table in there.sorted_tables:
            if table.name not in _NEXT:
                fill(connection, table)
        connection.execute(text("UPDATE delivery SET destination = 'pacs'"))
    before = counts(older)
    assert all(before.values())
    schema.migrate(older)
    after = counts(older)
    assert {name: after[name] for name in before} == before
    schema.ensure(older)
    assert [story.state for story in Bundles(older).all()] == ["shadow", "shadow"]
    assert Bundles(older).live_hash() is None
    with older.engine.connect() as connection:
        assert connection.execute(text("SELECT DISTINCT lane FROM job")).scalars().all() == ["pacs"]
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_migration_of_a_large_table_is_given_its_time_and_only_the_migration(postgres: PostgresCluster) -> None:
    database, seen = Database(postgres.new_database()), list[tuple[str, str, float]]()

    @event.listens_for(database.engine, "after_cursor_execute")
    def told(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "CREATE TABLE bundle_act" in statement:
            limits = [cursor.connection.execute(f"SHOW {name}").fetchone()[0] for name in ("statement_timeout", "lock_timeout")]
            seen.append((limits[0], limits[1], cursor.connection.answer_seconds))

    try:
        schema.migrate(database)
        assert [(statement, lock) for statement, lock, _ in seen] == [("0", "0")]
        assert seen[0][2] > 3600
        with database.engine.connect() as connection:
            assert connection.scalar(text("SHOW statement_timeout")) == "30s"
            driver: Any = connection.connection.driver_connection
            assert driver.answer_seconds < 60
    finally:
        database.close()
