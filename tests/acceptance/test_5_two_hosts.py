"""Two hosts on one PostgreSQL with one spool: the work is shared, each image is assessed once, and when one dies the other finishes."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.config import load_settings
from gateway.domain.job import JobKind, JobState
from gateway.store.database import Database
from gateway.store.tables import AssessmentRow, AuditEventRow, InstanceRow, JobRow, ResultRow
from tests.acceptance.serving import START_SECONDS, Serving, write_config
from tests.acceptance.test_2_kills import data_set, phantom
from tests.acceptance.test_3_serve import DX, EXPLICIT
from tests.peers.postgresql import PostgresCluster
from tests.peers.raw_scu import association, send_bytes

STUDIES = 8


@pytest.fixture
def hosts(tmp_path: Path, demonstration_bundle: Path, postgres: PostgresCluster) -> Iterator[tuple[Serving, Serving]]:
    """One receives and works; the other one, with a folder and a mount of its own, only works."""
    url = postgres.new_database()
    configs = [write_config(tmp_path / name, bundle=demonstration_bundle, database_url=url, policy="all") for name in ("one", "two")]
    (tmp_path / "spool").mkdir()
    for config in configs:
        config.write_text(config.read_text().replace("lease_seconds = 30", "lease_seconds = 6\nbatch_size = 1"))
        (config.parent / "spool").symlink_to(tmp_path / "spool")
    one, two = Serving(configs[0], roles=("receiver", "worker")), Serving(configs[1], roles=("worker",))
    launched = [one]
    try:
        one.launch()
        one.wait_for(lambda: one.pid("receiver") is not None, START_SECONDS, "no receiver")
        launched.append(two)
        two.launch()
        for host in (one, two):
            host.wait_for(lambda host=host: host.pid("worker") is not None, START_SECONDS, "no worker")  # type: ignore[misc]
        yield one, two
    finally:
        for host in launched:
            host.stop()


def send(gateway: Serving, numbers: range) -> None:
    for number in numbers:
        instance = phantom(number)
        with association(gateway.port, [(DX, EXPLICIT)]) as assoc:
            content, uid = data_set(instance), str(instance.SOPInstanceUID)
            assert send_bytes(assoc, content, sop_class_uid=DX, sop_instance_uid=uid)[0] == 0


@pytest.mark.long
def test_two_hosts_share_the_work_and_the_other_finishes_when_one_is_killed(hosts: tuple[Serving, Serving]) -> None:
    one, two = hosts
    workers = {f":worker:{host.pid('worker')}" for host in hosts}
    database = Database(load_settings(one.config).database.url)

    def claimed() -> Counter[str]:
        """Analyses by worker, and those that it has now."""
        with database.reading() as session:
            rows = session.scalars(select(AuditEventRow).where(AuditEventRow.event == "job:claimed"))
            return Counter(f":{row.actor.split(':', 1)[1]}" for row in rows if row.detail["job_kind"] == JobKind.ANALYZE_INSTANCE)

    def runs(worker: str) -> bool:
        with database.reading() as session:
            running = select(JobRow.lease_owner).where(JobRow.state == JobState.RUNNING, JobRow.kind == JobKind.ANALYZE_INSTANCE)
            return any(owner and owner.endswith(worker) for owner in session.scalars(running))

    send(one, range(1, STUDIES + 1))
    one.wait_for(lambda: set(claimed()) == workers, 60, "the work was not shared")
    victim = f":worker:{two.pid('worker')}"
    one.wait_for(lambda: runs(victim), 60, "the second host has nothing in its hands")
    kill_host(two)
    one.wait_quiet()
    with database.reading() as session:
        outcomes = Counter(session.scalars(select(InstanceRow.outcome)))
        knees = Counter(session.scalars(select(AssessmentRow.instance_id)))
        results = Counter((row.study_instance_uid, row.kind) for row in session.scalars(select(ResultRow)))
    assert outcomes == {"assessed": STUDIES}
    assert set(knees.values()) == {1}
    assert len(knees) == STUDIES
    assert {count for (_, kind), count in results.items() if kind == "sr"} == {1}
    assert len({study for study, _ in results}) == STUDIES
    assert all(ledger.closed for ledger in one.queries().status().ledgers)
    database.close()


def kill_host(host: Serving) -> None:
    """The power goes: its worker and its supervisor at once."""
    worker = host.pid("worker")
    assert worker is not None
    host.kill_all(before=lambda: os.kill(worker, signal.SIGKILL))


def test_host_with_another_folder_as_its_spool_is_refused(tmp_path: Path, demonstration_bundle: Path, postgres: PostgresCluster) -> None:
    from gateway.store import schema
    from gateway.store.spool import Spool
    from gateway.store.spool_binding import bind
    from tests.acceptance.test_3_serve import refused

    config = write_config(tmp_path / "two", bundle=demonstration_bundle, database_url=postgres.new_database())
    database = Database(load_settings(config).database.url)
    schema.ensure(database)
    bind(Spool(tmp_path / "first"), database)
    database.close()
    assert "Mount the shared spool" in refused(config, 1)
