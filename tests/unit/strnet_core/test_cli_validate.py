"""`strnet validate` on made tables: counts by construction, and what a promotion reads."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from gateway.domain.bundle_evidence import read_evidence, why_not
from strnet_core.cli.main import app
from tests.unit.strnet_core.site_tables import BUNDLE, cohort, knee, measured, write_dxa, write_export


@pytest.fixture
def run(tmp_path):
    def invoke(knees, dxa, *words):
        tables = (write_export(tmp_path / "export.csv", knees), write_dxa(tmp_path / "dxa.csv", dxa))
        told = ["validate", tables[0], "--dxa", tables[1], "--window-days", 30, "--out", tmp_path / "out", "--resamples", 100, *words]
        return CliRunner().invoke(app, [str(word) for word in told], env={"COLUMNS": "160"})

    return invoke


def test_report_has_the_counts_that_were_made_and_proposes_a_threshold_without_applying_it(run, tmp_path):
    knees, dxa = cohort(120)
    young, of_young = cohort(20, age=45, seed=8)
    young = [{**one, "image": f"y{n}", "subject": f"y{n}", "study": f"y{n}", "patient_id": f"Y{n}"} for n, one in enumerate(young)]
    of_young = [{**one, "patient_id": f"Y{n}"} for n, one in enumerate(of_young)]
    alone = [knee(500), knee(501, study_date="2020-01-01")]
    result = run([*knees, *young, *alone], [*dxa, *of_young, measured(501, -1.5), measured(900, -2.0)])
    assert result.exit_code == 0, result.output
    assert "Nothing was changed" in " ".join(result.stdout.split())
    content = (tmp_path / "out" / "report.json").read_bytes()
    told = json.loads(content)["validation"]
    assert (told["knees"], told["joined_knees"], told["joined_patients"]) == (142, 140, 140)
    assert {step["reason"]: step["left_out"] for step in told["flow"] if step["left_out"]} == {
        "the patient has no usable DXA": 1,
        "no DXA within the window": 1,
    }
    ages = told["intended_ages"]
    assert (ages["from_years"], ages["with_bone_loss"], ages["normal"], ages["younger"]) == (50, 60, 60, 20)
    flagged = sum(one["decision"] == "flagged" for one in knees[1::2])
    assert (ages["sensitivity"]["numerator"], ages["sensitivity"]["denominator"]) == (flagged, 60)
    assert told["bundle_hash"] == BUNDLE
    assert told["proposal"]["applied"] is False
    assert (told["proposal"]["in_use"], json.loads(content)["screening"]["points"][0]["threshold"]) == (0.44, 0.44)
    assert any("20 patients under 50" in note for note in told["notes"])
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Validation on site" in page
    assert "It was applied to nothing" in page
    # what a promotion reads of it
    evidence = read_evidence(content)
    assert (evidence.bundle_hash, evidence.with_bone_loss, evidence.normal, evidence.from_years) == (BUNDLE, 60, 60, 50)
    assert why_not(evidence, BUNDLE, assessed_from_years=50) is None


def test_too_few_patients_end_with_1_and_still_say_why_so_few_are_left(run):
    knees, dxa = cohort(30)
    result = run(knees, [one for one in dxa if one["patient_id"] in {"P1", "P2", "P3"}])
    assert result.exit_code == 1
    assert "3 of 30 knees joined" in result.stderr
    assert "too_few" in result.stderr


def test_one_class_ends_with_1(run):
    knees, dxa = cohort(30)
    result = run(knees, [{**one, "t_score": -1.5} for one in dxa])
    assert (result.exit_code, "one_class" in result.stderr) == (1, True)


def test_dxa_of_flagged_patients_mostly_is_said_to_distort(run):
    knees, dxa = cohort(200, signal=0.5)
    flagged = {one["patient_id"] for one in knees if one["decision"] == "flagged"}
    some = [one for one in dxa if one["patient_id"] in flagged or int(str(one["patient_id"])[1:]) % 5 == 0]
    result = run(knees, some)
    assert result.exit_code == 0, result.output
    assert "only the PPV holds" in " ".join(result.stdout.split())
    assert "only the PPV holds" not in " ".join(run(knees, dxa).stdout.split())


def test_unknown_ages_are_no_evidence(run, tmp_path):
    knees, dxa = cohort(40, age=60)
    assert run([{**one, "age": ""} for one in knees], dxa).exit_code == 0
    evidence = read_evidence((tmp_path / "out" / "report.json").read_bytes())
    assert (evidence.with_bone_loss, evidence.normal, evidence.auroc) == (0, 0, None)
    assert "0 patients with bone loss" in (why_not(evidence, BUNDLE, assessed_from_years=50) or "")


@pytest.mark.parametrize("words", [("--site-rule", "best"), ("--sites", ","), ("--window-days", "-1")])
def test_wrong_use_ends_with_2(run, words):
    assert run(*cohort(30), *words).exit_code == 2
