"""`strnet-gateway jobs` as operators use it, over a real store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from gateway.cli.jobs import app
from gateway.domain.job import JobKind
from gateway.store import schema
from gateway.store.database import Database
from gateway.store.job_queue import JobQueue, enqueue

WHO = ["--by", "anna", "--reason", "INC-4711"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with its configuration, for all tests of this file."""
    found = tmp_path_factory.mktemp("cli")
    (found / "config.toml").write_text('[serve]\ndevelopment = true\n[database]\nurl = "sqlite:///store.db"\n[spool]\nfolder = "spool"\n')
    database = Database(f"sqlite:///{found / 'store.db'}")
    schema.ensure(database)
    database.close()
    return found


@pytest.fixture
def database(folder: Path) -> Database:
    """One waiting delivery, job 1."""
    database = Database(f"sqlite:///{folder / 'store.db'}")
    with database.transaction() as session:
        session.execute(text("DELETE FROM job"))
        enqueue(session, JobKind.DELIVER_RESULT, "d1", "1.2.3", actor="test")
    return database


@pytest.fixture
def jobs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.chdir(folder)
    return CliRunner()


def explained(jobs: CliRunner) -> dict[str, object]:
    answer = jobs.invoke(app, ["explain", "1", "--json"])
    assert answer.exit_code == 0, answer.output
    return dict(json.loads(answer.stdout))


@pytest.mark.parametrize(
    ("acts", "state"),
    [(["hold"], "held"), (["hold", "release"], "queued"), (["hold", "cancel"], "cancelled"), (["cancel"], "cancelled")],
)
def test_act_changes_the_job_and_keeps_who_and_why(jobs: CliRunner, database: Database, acts: list[str], state: str) -> None:
    for act in acts:
        answer = jobs.invoke(app, [act, "1", *WHO])
        assert (answer.exit_code, "job 1 is" in answer.output) == (0, True), answer.output
    with database.reading() as session:
        assert session.execute(text("SELECT state FROM job")).scalar() == state
        last = session.execute(text("SELECT actor, detail FROM audit_event ORDER BY seq DESC LIMIT 1")).one()
    assert (last.actor, json.loads(last.detail)["reason"]) == ("operator:anna", "INC-4711")
    database.close()


def test_dead_job_is_explained_with_what_can_be_done_and_retried(jobs: CliRunner, database: Database) -> None:
    queue = JobQueue(database, lease_seconds=60, max_lease_expiries=3)
    (claim,) = queue.claim((JobKind.DELIVER_RESULT,), "host:sender:1")
    queue.fail(claim, code="cannot_understand", retry_in_seconds=None)
    found = explained(jobs)
    assert found["actions"] == ["retry", "release", "cancel"]
    assert "cannot_understand" in json.dumps(found["events"])
    table = jobs.invoke(app, ["explain", "1"]).output
    assert "jobs retry" in table
    assert "dead, cannot_understand" in table
    assert jobs.invoke(app, ["retry", "1", *WHO]).exit_code == 0
    assert explained(jobs)["actions"] == ["hold", "cancel"]
    database.close()


@pytest.mark.parametrize("reason", ["the patient Mr Smith called", "", "x" * 65, "Müller"])
def test_sentence_as_a_reason_is_refused_because_it_may_name_a_patient(jobs: CliRunner, database: Database, reason: str) -> None:
    answer = jobs.invoke(app, ["hold", "1", "--by", "anna", "--reason", reason])
    assert answer.exit_code == 2
    with database.reading() as session:
        assert session.execute(text("SELECT state FROM job")).scalar() == "queued"
    database.close()
