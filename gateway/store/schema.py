"""The schema's life: created when the database is empty, refused when it is another release's, moved by `db migrate`."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from gateway.errors import DatabaseDamagedError, SchemaMismatchError
from gateway.store.database import Database


def _alembic(database: Database) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["engine"] = database.engine
    return config


def current_revision(database: Database) -> str | None:
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head_revision(database: Database) -> str | None:
    return ScriptDirectory.from_config(_alembic(database)).get_current_head()


def migrate(database: Database, revision: str = "head") -> None:
    """Moves the schema to this release's. Several processes may call it at once: one does it, the others wait."""
    command.upgrade(_alembic(database), revision)


def check_whole(database: Database) -> None:
    """Reads an SQLite file once. DatabaseDamagedError names what is wrong. PostgreSQL's server looks after its pages itself."""
    if database.dialect != "sqlite":
        return
    with database.reading() as session:
        found = session.scalar(text("PRAGMA quick_check(1)"))
    if found != "ok":
        raise DatabaseDamagedError


def ensure(database: Database) -> None:
    """Creates an empty database's schema. SchemaMismatchError for an older or newer one."""
    with database.reading() as session:
        empty = not inspect(session.connection()).get_table_names()
    if empty:
        migrate(database)
        return
    current, head = current_revision(database), head_revision(database)
    if current != head:
        raise SchemaMismatchError(f"database {current}, release {head}")
