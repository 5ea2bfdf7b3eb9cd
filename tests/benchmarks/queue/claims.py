"""What a claim costs beside finished jobs: three tables per database, measured in turn so that the machine's mood hits all alike."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from sqlalchemy import text

from gateway.domain.job import JobKind
from gateway.store import schema
from gateway.store.database import Database
from gateway.store.job_queue import JobQueue
from tests.peers.postgresql import find_binaries, running_cluster

KINDS: Final = (JobKind.REPORT_STUDY, JobKind.ANALYZE_INSTANCE)
_COLUMNS: Final = "kind, subject, study_instance_uid, state, attempts, lease_expiries, fence, created_at, next_at"
_VALUES: Final = "'analyze_instance', '{name}-' || i, '1.2.' || i, '{state}', 0, 0, 1, '2026-01-01', '2026-01-01'"
_HISTORY: Final = {
    "sqlite": "INSERT INTO job ({columns}) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT {values} FROM n",
    "postgresql": "INSERT INTO job ({columns}) SELECT {values} FROM generate_series(1, {count}) AS n(i)",
}
OWNER: Final = "bench:worker:1"


@dataclass
class Costs:
    """Seconds of every call, by what was done."""

    calls: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def take(self, what: str, work: Callable[[], object]) -> None:
        before = time.perf_counter()
        work()
        self.calls[what].append(time.perf_counter() - before)

    def ms(self, what: str) -> float:
        """The median."""
        return 1000 * median(self.calls[what])

    def undisturbed_ms(self, what: str) -> float:
        """The fastest tenth: what it costs where the machine does nothing else meanwhile."""
        calls = sorted(self.calls[what])
        return 1000 * median(calls[: max(1, len(calls) // 10)])


def measure(folder: Path, sizes: Sequence[int], *, rounds: int, claims: int) -> dict[str, dict[int, Costs]]:
    """By database and number of finished jobs."""
    found: dict[str, dict[int, Costs]] = {}
    for name, urls in _databases(folder, sizes):
        with ExitStack() as stack:
            databases = {size: stack.enter_context(closing(Database(url))) for size, url in urls.items()}
            for size, database in databases.items():
                schema.ensure(database)
                _fill(database, size, "history", "done")
            found[name] = {size: Costs() for size in sizes}
            for _ in range(rounds):
                for size, database in databases.items():
                    _round(database, found[name][size], claims)
    return found


def _databases(folder: Path, sizes: Sequence[int]) -> Iterator[tuple[str, dict[int, str]]]:
    yield "sqlite", {size: f"sqlite:///{folder / f'{size}.db'}" for size in sizes}
    if find_binaries() is None:
        print("PostgreSQL's server is not installed: left out")
        return
    with running_cluster() as cluster:
        yield "postgresql", {size: cluster.new_database() for size in sizes}


def _fill(database: Database, count: int, name: str, state: str) -> None:
    statement = _HISTORY[database.dialect].format(columns=_COLUMNS, values=_VALUES.format(name=name, state=state), count=count)
    with database.engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0") if database.dialect == "postgresql" else text("SELECT 1"))
        connection.execute(text(statement))
    if database.dialect == "postgresql":
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE job"))


def _round(database: Database, costs: Costs, claims: int) -> None:
    """Idle looks, then so many jobs claimed one by one and finished, and the two ticks of the timers while they run."""
    queue = JobQueue(database, lease_seconds=120, max_lease_expiries=3)
    for _ in range(claims):
        costs.take("idle look", lambda: queue.claim(KINDS, OWNER))
    with database.engine.begin() as connection:
        values = _VALUES.format(name="waiting", state="queued")
        connection.execute(text(_HISTORY[database.dialect].format(columns=_COLUMNS, values=values, count=claims)))
    taken = []
    for _ in range(claims):
        costs.take("claim", lambda: taken.extend(queue.claim(KINDS, OWNER)))
    if len(taken) != claims:
        raise RuntimeError(f"{len(taken)} of {claims} jobs were claimed")
    costs.take("expiry tick", queue.expire_leases)
    costs.take("heartbeat", lambda: queue.renew(taken[:16]))
    for claim in taken:
        costs.take("finish", lambda claim=claim: queue.finish(claim))  # type: ignore[misc]
