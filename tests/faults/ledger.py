"""The invariants, from outside: what senders were told, joined with the database and the spool, by plain SQL and plain files."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.faults.fault import Point
from tests.peers.raw_scu import split


@dataclass(frozen=True, slots=True)
class Ledger:
    """What stands in one gateway's database and spool at this moment."""

    database: Path
    spool: Path

    def ask(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute(sql, values).fetchall()

    def count(self, table: str, where: str = "1 = 1") -> int:
        ((found,),) = self.ask(f"SELECT count(*) FROM {table} WHERE {where}")
        return int(str(found))

    def files(self) -> list[Path]:
        return sorted(self.spool.glob("instance/*/*.dcm"))

    def partial_files(self) -> list[Path]:
        return sorted(self.spool.glob("*/*/*.part"))

    def audited(self, event: str, **detail: object) -> int:
        """How many audit events of a name have these details."""
        where = "".join(f" AND json_extract(detail, '$.{key}') = ?" for key in detail)
        ((found,),) = self.ask(f"SELECT count(*) FROM audit_event WHERE event = ?{where}", event, *detail.values())
        return int(str(found))

    def broken_promises(self, acknowledged: Iterable[tuple[str, str]]) -> list[str]:
        """I1: every acknowledged data set has a row, a receipt, one job and a file with its very bytes."""
        return [f"{uid}: {fault}" for uid, digest in sorted(acknowledged) for fault in self._faults_of(uid, digest)]

    def _faults_of(self, uid: str, digest: str) -> Iterator[str]:
        rows = self.ask("SELECT id, file FROM instance WHERE sop_instance_uid = ? AND dataset_digest = ?", uid, digest)
        if len(rows) != 1:
            yield f"{len(rows)} rows"
            return
        ((identifier, file),) = rows
        path = self.spool / str(file)
        if not path.exists():
            yield "no file"
        elif not _holds(path, digest):
            yield "other bytes"
        if not self.ask("SELECT 1 FROM receipt WHERE instance_id = ? AND dimse_status = 0", identifier):
            yield "no receipt"
        if len(self.ask("SELECT 1 FROM job WHERE kind = 'analyze_instance' AND subject = ?", identifier)) != 1:
            yield "not one job"
        if not self.ask("SELECT 1 FROM audit_event WHERE instance_id = ? AND event IN ('instance:stored', 'instance:adopted')", identifier):
            yield "no audit event"

    def rows_without_file(self) -> int:
        return sum(not (self.spool / str(file)).exists() for (file,) in self.ask("SELECT file FROM instance WHERE state <> 'lost'"))

    def is_whole(self) -> bool:
        """SQLite's own check, and no row that points nowhere."""
        return self.ask("PRAGMA integrity_check") == [("ok",)] and not self.ask("PRAGMA foreign_key_check")

    def half_done(self) -> int:
        """Instances without job, audit event or, when they came by C-STORE, receipt; receipts of success without instance."""
        return self.count(
            "instance",
            "id NOT IN (SELECT subject FROM job) OR id NOT IN (SELECT instance_id FROM audit_event WHERE instance_id IS NOT NULL)"
            " OR (first_association_id IS NOT NULL AND id NOT IN (SELECT instance_id FROM receipt WHERE instance_id IS NOT NULL))",
        ) + self.count("receipt", "reason = 'stored' AND instance_id IS NULL")

    def invariants(self, acknowledged: Iterable[tuple[str, str]]) -> Iterator[Point]:
        """What must hold after every fault."""
        broken = [f"acknowledged {what}" for what in self.broken_promises(acknowledged)]
        missing = self.rows_without_file()
        if missing:
            broken.append(f"{missing} rows without their file")
        if not self.is_whole():
            broken.append("database not whole")
        if half := self.half_done():
            broken.append(f"{half} transactions by halves")
        yield Point("invariants broken", broken, [])


def _holds(path: Path, digest: str) -> bool:
    try:
        return hashlib.sha256(split(path)[3]).hexdigest() == digest
    except Exception:  # whatever pydicom makes of a torn file
        return False
