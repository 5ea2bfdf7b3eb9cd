"""Fault 54: the next release on the database of the one before, with work in the queue; and the way back."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from alembic.script import ScriptDirectory

from gateway.store import schema
from gateway.store.database import Database
from tests.faults.fault import Fault, Point
from tests.faults.images import encode
from tests.faults.knees import outcome, phantom, wait_quiet
from tests.faults.receiver import Receiver
from tests.faults.senders import send_all
from tests.faults.workplace import Workplace

_IMAGES = 3
_FAR = "9999"
"""A revision of a release that does not exist yet."""


def upgraded(w: Workplace) -> Iterator[Point]:
    sections = {"worker": {"settle_seconds": 0.1}}
    receiver = w.receiver(sections=sections).start()
    ledger, images = w.ledger(receiver), [encode(phantom(number)) for number in range(1, _IMAGES + 1)]
    yield Point("answers", send_all(receiver.port, images, w.log), ["0000"] * _IMAGES)
    receiver.terminate()
    receiver.wait_exit(30)
    ours, before = _revisions(ledger.database)
    _as_before(ledger.database, before)
    yield Point("jobs that wait in the database of the release before", ledger.count("job", "state = 'queued'"), _IMAGES)
    both = w.receiver(roles=("receiver", "worker"), sections=sections)
    yield from _refused(both, ledger.database, "started on it")
    yield Point("db migrate: exit code", _migrated(both), 0)
    yield Point("revision is ours", ledger.ask("SELECT version_num FROM alembic_version"), [(ours,)])
    both.start()
    both.wait_started(role="worker")
    wait_quiet(ledger)
    yield Point("queue worked off", [outcome(ledger, one) for one in images], ["assessed"] * _IMAGES)
    yield Point("results", ledger.count("result"), 3 * _IMAGES)
    yield Point("sent again", send_all(both.port, images[:1], w.log), ["0000"])
    wait_quiet(ledger)
    yield Point("results", ledger.count("result"), 3 * _IMAGES)
    yield from ledger.invariants(w.log.acknowledged)
    both.terminate()
    yield Point("exit code", both.wait_exit(30), 0)
    # as the release before sees it when one goes back to it
    _stamp(ledger.database, _FAR)
    yield from _refused(both, ledger.database, "back to the release before")
    _stamp(ledger.database, ours)
    both.start()
    yield Point("with its own release again", send_all(both.port, images[1:2], w.log), ["0000"])


def _revisions(database: Path) -> tuple[str, str]:
    """This release's, and the one before."""
    with closing(Database(f"sqlite:///{database}")) as found:
        scripts = ScriptDirectory.from_config(schema._alembic(found))
    head = scripts.get_current_head()
    before = scripts.get_revision(head).down_revision if head else None
    assert isinstance(head, str)
    assert isinstance(before, str)
    return head, before


def _as_before(database: Path, revision: str) -> None:
    """The same rows in the tables as they were at that revision; what they had no column for is left out."""
    older = database.with_name("older.db")
    with closing(Database(f"sqlite:///{older}")) as made:
        schema.migrate(made, revision)
    with closing(sqlite3.connect(older)) as connection:
        connection.execute("ATTACH DATABASE ? AS newer", (str(database),))
        for (table,) in connection.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'").fetchall():
            if table != "alembic_version" and not table.startswith("sqlite_"):
                columns = ", ".join(
                    f'"{name}"' for name in _columns(connection, "main", table) if name in _columns(connection, "newer", table)
                )
                connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink()
    older.rename(database)


def _columns(connection: sqlite3.Connection, database: str, table: str) -> list[str]:
    return [str(name) for (name,) in connection.execute("SELECT name FROM pragma_table_info(?, ?)", (table, database))]


def _refused(receiver: Receiver, database: Path, name: str) -> Iterator[Point]:
    content = database.read_bytes()
    receiver.launch()
    yield Point(f"{name}: exit code", receiver.wait_exit(100), 78)
    yield Point("remedy shown", "db migrate` or install the release that wrote it" in receiver.said(), True)
    yield Point("database untouched", database.read_bytes() == content, True)


def _migrated(receiver: Receiver) -> int:
    command = [sys.executable, "-m", "gateway.cli.main", "db", "migrate", "--config", str(receiver.config)]
    return subprocess.run(command, capture_output=True, timeout=100, check=False).returncode


def _stamp(database: Path, version: str) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


FAULTS = (
    Fault(
        number=54,
        what="upgrade with work in the queue; back to the release before",
        expected="refused with the remedy until `db migrate`; then the queue is worked off; the release before refuses the newer database",
        how="the rows of a full queue in the schema of the migration before this release's; Alembic's version rewritten for the way back",
        scenario=upgraded,
        seconds=400,
    ),
)
