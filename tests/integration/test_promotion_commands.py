"""From shadow to live as operators do it: images in shadow, export, validation, promotion by two people, rollback."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli.main import app
from gateway.config import load_settings
from gateway.domain.bundle_evidence import BundleEvidence, read_evidence, why_not
from gateway.errors import GatewayError
from gateway.store import schema
from gateway.store.bundles import Bundles
from gateway.store.database import Database
from gateway.store.spool import Spool
from gateway.store.versions import record_bundle
from strnet_core.cli.main import app as strnet
from tests.integration.bench import MODEL, AnalyzerDouble, Bench, DecoderDouble
from tests.unit.strnet_core.site_tables import measured, write_dxa

USED, OTHER = MODEL.bundle_hash, "a" * 64
CONFIG = """
[serve]
development = true
[database]
url = "sqlite:///store.db"
[[routes]]
name = "r"
policy = "all"
destinations = ["pacs"]
[[destinations]]
name = "pacs"
ae_title = "PACS"
host = "127.0.0.1"
port = 1
class = "research"
"""
TWO = ("--by", "anna", "--second", "ben", "--reason", "CHG-12")


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    (tmp_path / "config.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    database = Database(f"sqlite:///{tmp_path / 'store.db'}")
    schema.ensure(database)
    for bundle_hash, use in ((USED, "research"), (OTHER, "research"), ("d" * 64, "demonstration")):
        record_bundle(database, bundle_hash=bundle_hash, weights_sha256="a" * 64, name="n", version="1", intended_use=use, actor="test")
    return database


def run(*words: object) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert isinstance(result.exception, SystemExit | GatewayError | None), result.exception
    return result


def report(path: Path, **changes: object) -> Path:
    """What a promotion reads of a report.json."""
    ages = {
        "from_years": 50,
        "with_bone_loss": 50,
        "normal": 50,
        "auroc": {"value": 0.8, "low": 0.7, "high": 0.9},
        "sensitivity": {"value": 0.9},
        "specificity": {"value": 0.7},
    }
    found = {"bundle_hash": changes.pop("bundle_hash", USED), "intended_ages": {**ages, **changes}}
    path.write_text(json.dumps({"validation": found}))
    return path


def test_a_report_of_this_bundle_and_two_people_make_it_live_and_one_brings_the_former_back(database: Database, tmp_path: Path) -> None:
    assert run("model", "list").exit_code == 1
    evidence = report(tmp_path / "r.json")
    assert run("model", "promote", USED[:12], *TWO, "--evidence", evidence).exit_code == 0
    assert run("model", "list").exit_code == 0
    assert run("model", "promote", OTHER, *TWO, "--evidence", report(tmp_path / "o.json", bundle_hash=OTHER)).exit_code == 0
    listed = {one["bundle_hash"]: one for one in json.loads(run("model", "list", "--json").stdout)}
    assert (listed[USED]["state"], listed[OTHER]["state"]) == ("former", "live")
    assert (listed[OTHER]["last_by"], listed[OTHER]["last_second"], listed[OTHER]["last_reason"]) == (
        "operator:anna",
        "operator:ben",
        "CHG-12",
    )
    back = run("model", "rollback", "--by", "anna", "--reason", "INC-31")
    assert back.exit_code == 0
    assert USED in back.stdout.splitlines()[0]
    assert run("model", "retire", USED, "--by", "anna", "--reason", "INC-32").exit_code == 0
    assert Bundles(database).live_hash() is None


@pytest.mark.parametrize(
    ("words", "changes", "told"),
    [
        (("--by", "anna", "--second", "Anna", "--reason", "x"), {}, "the same person"),
        (TWO, {"bundle_hash": OTHER}, "of bundle aaaaaaaaaaaa"),
        (TWO, {"with_bone_loss": 49}, "49 patients with bone loss"),
        (TWO, {"normal": 49}, "49 normal patients"),
        (TWO, {"auroc": {"value": 0.6, "low": 0.5}}, "not shown to be above"),
        (TWO, {"auroc": {"missing": "too few"}}, "not shown to be above"),
        (TWO, {"from_years": 40}, "intended ages begin with 50"),
        (TWO, {"normal": "many"}, "no report.json"),
        (TWO, {"normal": -1}, "no report.json"),
        (TWO, {"bundle_hash": "short"}, "no report.json"),
    ],
)
def test_promotion_without_evidence_or_a_second_person_is_refused_and_changes_nothing(
    database: Database, tmp_path: Path, words: tuple[str, ...], changes: dict[str, object], told: str
) -> None:
    result = run("model", "promote", USED, *words, "--evidence", report(tmp_path / "r.json", **changes))
    assert result.exit_code != 0
    assert told in str(result.exception)
    assert Bundles(database).live_hash() is None


def test_what_is_no_report_a_demonstration_and_younger_patients_are_refused(database: Database, tmp_path: Path) -> None:
    evidence = report(tmp_path / "r.json")
    (tmp_path / "x.json").write_text("no JSON")
    assert "no JSON" in str(run("model", "promote", USED, *TWO, "--evidence", tmp_path / "x.json").exception)
    (tmp_path / "y.json").write_text('{"source": {}}')
    assert "strnet validate" in str(run("model", "promote", USED, *TWO, "--evidence", tmp_path / "y.json").exception)
    shown = report(tmp_path / "d.json", bundle_hash="d" * 64)
    assert "demonstration" in str(run("model", "promote", "d" * 64, *TWO, "--evidence", shown).exception)
    assert "at least 8 digits" in str(run("model", "promote", "b", *TWO, "--evidence", evidence).exception)
    (tmp_path / "config.toml").write_text(CONFIG + "[eligibility]\nmin_age_years = 45\n")
    assert "min_age_years is 45" in str(run("model", "promote", USED, *TWO, "--evidence", evidence).exception)
    assert Bundles(database).live_hash() is None


def test_the_refusals_stand_in_an_order_and_good_evidence_has_none() -> None:
    good = BundleEvidence(
        bundle_hash=USED, with_bone_loss=50, normal=50, auroc=0.8, auroc_low=0.51, sensitivity=0.9, specificity=0.7, from_years=50
    )
    assert why_not(good, USED, assessed_from_years=50) is None
    assert "min_age_years is 49" in (why_not(good, USED, assessed_from_years=49) or "")
    assert "of bundle" in (why_not(replace(good, normal=0), OTHER, assessed_from_years=50) or "")


def test_shadow_then_export_then_validation_counts_what_was_made(database: Database, tmp_path: Path) -> None:
    """Twelve patients through the gateway, every second one flagged; one of five is the other way round by DXA, two have none."""
    spool = Spool(tmp_path / "spool")
    spool.prepare()
    flags = [number % 2 == 1 for number in range(1, 13)]
    here = Bench(database, spool, load_settings(tmp_path / "config.toml"), DecoderDouble(), AnalyzerDouble(flagged=list(flags)))
    for number in range(1, 13):
        here.receive(1, study=number)
        here.analyze_all()
    # flagged: 4 with bone loss, 1 normal; not flagged: 1 and 4
    loss = {1, 3, 5, 7, 2}
    dxa = [measured(number, -2.7 if number in loss else 0.1, date="2026-01-20") for number in range(1, 11)]
    write_dxa(tmp_path / "dxa.csv", dxa)
    who = ("--by", "anna", "--reason", "STUDY-7")
    assert run("audit", "export", "--out", "knees.csv", "--with-identifiers", *who).exit_code == 0
    words = ("validate", "knees.csv", "--dxa", "dxa.csv", "--window-days", "30", "--out", "report", "--resamples", "100", "--json")
    validated = CliRunner().invoke(strnet, words)
    assert validated.exit_code == 0, validated.output
    told = json.loads(validated.stdout)
    counts = told["screening"]["points"][0]["counts"]
    assert (counts["true_positives"], counts["false_positives"], counts["false_negatives"], counts["true_negatives"]) == (4, 1, 1, 4)
    assert told["validation"]["bundle_hash"] == USED
    assert {step["reason"]: step["left_out"] for step in told["validation"]["flow"] if step["left_out"]} == {
        "the patient has no usable DXA": 2
    }
    ages = told["validation"]["intended_ages"]
    assert (ages["with_bone_loss"], ages["normal"]) == (5, 5)
    assert read_evidence((tmp_path / "report" / "report.json").read_bytes()).with_bone_loss == 5
    refused = run("model", "promote", USED, *TWO, "--evidence", "report/report.json")
    assert "5 patients with bone loss" in str(refused.exception)


def test_export_on_the_command_line_refuses_what_is_there_a_weak_key_and_a_sentence(database: Database, tmp_path: Path) -> None:
    who = ("--by", "anna", "--reason", "STUDY-7")
    assert run("audit", "export", "--out", "config.toml", *who).exit_code == 2
    assert run("audit", "export", "--out", "none/knees.csv", *who).exit_code == 2
    (tmp_path / "key").write_text("short")
    assert run("audit", "export", "--out", "knees.csv", "--key-file", "key", *who).exit_code == 2
    assert run("audit", "export", "--out", "knees.csv", "--by", "anna", "--reason", "for Mrs X").exit_code == 2
    assert not (tmp_path / "knees.csv").exists()
    assert json.loads(run("audit", "export", "--out", "knees.csv", *who, "--json").stdout)["knees"] == 0
