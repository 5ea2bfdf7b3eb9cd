"""A PostgreSQL of the fault's own, and what stands in a gateway's database there."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import psycopg

from tests.faults.ledger import Ledger
from tests.peers.postgresql import PostgresCluster, running_cluster


def cluster() -> AbstractContextManager[PostgresCluster]:
    return running_cluster(stop_mode="immediate")


@dataclass(frozen=True, slots=True)
class PostgresLedger(Ledger):
    """As of SQLite, but for the dialect. url: SQLAlchemy's."""

    url: str

    def ask(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url.replace("+psycopg", ""), connect_timeout=10) as connection:
            return connection.execute(sql.replace("?", "%s").encode(), values).fetchall()

    def audited(self, event: str, **detail: object) -> int:
        where = "".join(f" AND detail ->> '{key}' = ?" for key in detail)
        ((found,),) = self.ask(f"SELECT count(*) FROM audit_event WHERE event = ?{where}", event, *map(str, detail.values()))
        return int(str(found))

    def is_whole(self) -> bool:
        """PostgreSQL checks foreign keys itself; a table that cannot be read raises."""
        return True
