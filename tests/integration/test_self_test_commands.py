"""`strnet-gateway self-test`, `status` and the figures, as operators see a self-test that deviated."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.domain.self_test import SelfTestResult
from gateway.ops.metrics import _of_store
from gateway.store import schema
from gateway.store.database import Database
from gateway.store.figures import read_figures
from gateway.store.self_tests import SelfTests

WHO = ["--by", "anna", "--reason", "INC-4711"]
AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """xray1 passed, xray2 deviated after it had passed; both with a configuration in the present folder."""
    (tmp_path / "config.toml").write_text('[serve]\ndevelopment = true\n[database]\nurl = "sqlite:///store.db"\n')
    monkeypatch.chdir(tmp_path)
    database = Database(f"sqlite:///{tmp_path / 'store.db'}")
    schema.ensure(database)
    for hour, (worker, deviations) in enumerate((("xray1", ()), ("xray2", ()), ("xray2", ("1:input", "2:logit")))):
        SelfTests(database).add(result(worker, deviations, AT + timedelta(hours=hour)), actor="test")
    return database


def result(worker: str, deviations: tuple[str, ...], ended_at: datetime) -> SelfTestResult:
    return SelfTestResult(
        self_test_id=f"{worker}-{ended_at:%H}",
        worker=worker,
        bundle_hash="b" * 64,
        profile="torch-cpu-float32",
        phantoms=4,
        deviations=deviations,
        logit_difference=0.25,
        saliency_difference=None,
        started_at=ended_at,
        ended_at=ended_at,
    )


def test_deviation_is_listed_until_it_is_accepted(database: Database) -> None:
    run = CliRunner().invoke
    listed = run(app, ["self-test", "list", "--json"])
    assert listed.exit_code == 1
    assert [(one["worker"], one["deviations"]) for one in json.loads(listed.stdout)] == [("xray1", []), ("xray2", ["1:input", "2:logit"])]
    status = json.loads(run(app, ["status", "--json"]).stdout)
    assert [(one["worker"], one["deviations"]) for one in status["self_tests"]] == [("xray1", []), ("xray2", ["1:input", "2:logit"])]
    assert run(app, ["self-test", "accept", "xray1", *WHO]).exit_code != 0
    assert run(app, ["self-test", "accept", "xray2", "--by", "anna", "--reason", "it looks fine to me"]).exit_code == 2
    assert run(app, ["self-test", "accept", "xray2", *WHO]).exit_code == 0
    assert run(app, ["self-test", "list"]).exit_code == 0


def test_figures_say_which_worker_deviated_also_after_it_was_accepted(database: Database) -> None:
    CliRunner().invoke(app, ["self-test", "accept", "xray2", *WHO])
    samples = {
        (sample.name, sample.labels["worker"]): sample.value
        for metric in _of_store(read_figures(database))
        for sample in metric.samples
        if "worker" in sample.labels
    }
    assert samples["strnet_gateway_self_test_passed", "xray1"] == 1
    assert samples["strnet_gateway_self_test_passed", "xray2"] == 0
    assert samples["strnet_gateway_self_test_age_seconds", "xray2"] > 0
