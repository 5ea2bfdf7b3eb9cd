"""`strnet evaluate` on tables, on counts, and on a small set of phantoms with the demonstration bundle."""

from __future__ import annotations

import contextlib
import csv
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from strnet_core.cli.main import app
from strnet_core.evaluation import read_predictions, write_predictions
from strnet_core.phantom import PhantomParameters, draw
from tests.unit.strnet_core.evaluation_cases import planted

QUICK = ("--resamples", "100")


@pytest.fixture
def run():
    def invoke(*words, folder=None):
        with contextlib.chdir(folder or "."):
            return CliRunner().invoke(app, ["evaluate", *map(str, words)], env={"COLUMNS": "160"})

    return invoke


def test_the_papers_counts_as_json(run):
    result = run("--counts", "123,13,68,20", "--totals", "136,88", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    sensitivity = told["wilson"]["sensitivity"]
    assert (sensitivity["numerator"], sensitivity["denominator"]) == (123, 136)
    assert round(told["bootstrap"]["specificity"]["value"], 3) == 0.773
    external = json.loads(run("--counts", "24,6,9,3", "--json").stdout)
    assert round(external["bootstrap"]["sensitivity"]["low"], 3) == 0.633


def test_counts_that_do_not_sum_end_with_1_and_say_so(run):
    result = run("--counts", "123,13,68,20", "--totals", "136,90")
    assert result.exit_code == 1
    assert "counts: The counts contradict each other" in result.output
    assert "88 without, not 90" in result.output


def test_the_papers_contradictions_are_told(run):
    result = run("--paper")
    assert result.exit_code == 0, result.output
    assert "123/136 with bone loss flagged" in result.stdout
    assert "contradicts: 162 with bone loss, elsewhere 136" in result.stdout
    assert len(json.loads(run("--paper", "--json").stdout)["tables"]) == 3


def test_a_table_gives_a_summary_and_files(run, tmp_path):
    write_predictions(tmp_path / "p.csv", planted(45))
    result = run(tmp_path / "p.csv", "--out", tmp_path / "out", "--threshold", "0.4", "--prevalence", "0.15", *QUICK)
    assert result.exit_code == 0, result.output
    assert "45 patients: 30 with bone loss, 15 normal" in result.stdout
    assert "given 0.4" in result.stdout
    assert "AUROC of age and BMI alone" in result.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"report.html", "report.json"}
    told = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert [row["prevalence"] for row in told["prevalence"]] == [0.15]


def test_a_threshold_is_taken_from_another_cohorts_report_and_never_from_this_ones(run, tmp_path):
    write_predictions(tmp_path / "a.csv", planted(45))
    write_predictions(tmp_path / "b.csv", planted(45, seed=9))
    run(tmp_path / "a.csv", "--out", tmp_path / "a", *QUICK)
    report = tmp_path / "a" / "report.json"
    searched = json.loads(report.read_text(encoding="utf-8"))["search"]["found"]["threshold"]
    told = json.loads(run(tmp_path / "b.csv", "--threshold-from", report, "--json", *QUICK).stdout)
    point = told["screening"]["points"][0]
    assert (point["name"], point["threshold"]) == ("given", searched)
    assert point["origin"].startswith("searched on 45 patients of a.csv")
    same = run(tmp_path / "a.csv", "--threshold-from", report, *QUICK)
    assert (same.exit_code, "of the same table" in same.output) == (1, True)
    (tmp_path / "none.json").write_text("{}")
    assert run(tmp_path / "b.csv", "--threshold-from", tmp_path / "none.json", *QUICK).exit_code == 1
    assert run(tmp_path / "b.csv", "--threshold-from", report, "--threshold", "0.4", *QUICK).exit_code == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda case: replace(case, label_cls=case.label_cls or 1), "one_class"),
        (lambda case: case if case.label_cls else replace(case, logit=case.logit if case.patient_id < "p2" else None), "too_few"),
    ],
)
def test_one_class_and_too_few_end_with_1_and_a_remedy(run, tmp_path, change, told):
    write_predictions(tmp_path / "p.csv", map(change, planted(30)))
    result = run(tmp_path / "p.csv", "--json", *QUICK)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"{told}: ")


@pytest.mark.parametrize(
    "words",
    [(), ("--paper", "--counts", "1,2,3,4"), ("--counts", "1,2,3"), ("--counts", "1,2,3,x"), ("--paper", "--resamples", "5")],
)
def test_wrong_use_ends_with_2(run, words):
    assert run(*words).exit_code == 2


def test_a_bundle_needs_films_and_labels_and_a_unit_is_one_of_two(run, tmp_path):
    assert run("--bundle", tmp_path).exit_code == 2
    write_predictions(tmp_path / "p.csv", planted(30))
    assert run(tmp_path / "p.csv", "--unit", "knee").exit_code == 2


def test_a_bundle_is_evaluated_on_labelled_films(run, demonstration, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    rows = []
    for number in range(10):
        label = number % 2 * 2
        knee = PhantomParameters(side="R", density=0.9 - 0.4 * label, rows=600, columns=500, marker=False)
        cv2.imwrite(str(folder / f"k{number}.png"), (draw(knee, number) >> 4).astype(np.uint8))
        rows.append((f"k{number}.png", f"k{number}", label, -1.0 - label, 40 + number, "FM"[number % 2], 24.5))
    with (tmp_path / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows((("image", "patient_id", "label_cls", "t_score", "age", "sex", "bmi"), *rows))
    words = ("--bundle", demonstration.folder, "--images", folder, "--labels", tmp_path / "labels.csv", "--device", "cpu")
    result = run(*words, "--out", tmp_path / "out", "--json", *QUICK)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["source"]["bundle_hash"] == demonstration.bundle_hash
    assert told["source"]["profile"] == "torch-cpu-float32"
    assert (told["screening"]["positives"], told["screening"]["negatives"]) == (5, 5)
    assert told["screening"]["points"][0]["threshold"] == demonstration.screening_threshold
    assert told["t_score"]["n"] == 10
    # the predictions are kept, and say the same again
    kept = read_predictions(tmp_path / "out" / "predictions.csv")
    assert len(kept) == 10
    again = run(tmp_path / "out" / "predictions.csv", "--threshold", demonstration.screening_threshold, "--json", *QUICK)
    assert json.loads(again.stdout)["screening"]["areas"] == told["screening"]["areas"]


def test_a_labelled_film_that_is_not_there_ends_with_1(run, demonstration, tmp_path):
    (tmp_path / "labels.csv").write_text("image,patient_id,label_cls\nnone.png,1,0\n")
    words = ("--bundle", demonstration.folder, "--images", tmp_path, "--labels", tmp_path / "labels.csv", "--device", "cpu")
    result = run(*words, "--out", tmp_path / "out", *QUICK)
    assert result.exit_code == 1
    assert "too_few" in result.output
    assert read_predictions(tmp_path / "out" / "predictions.csv")[0].refused == "no such image"


def test_tables_of_one_name_are_compared_by_their_folders_and_a_table_never_with_itself(run, tmp_path):
    paths = [tmp_path / name / "predictions.csv" for name in "ab"]
    for path, signal in zip(paths, (0.5, 2.5), strict=True):
        path.parent.mkdir()
        write_predictions(path, planted(45, signal=signal))
    told = json.loads(run(paths[0], "--beside", paths[1], "--json", *QUICK).stdout)
    assert [each["name"] for each in told["compared"]] == ["a/predictions.csv", "b/predictions.csv"]
    assert told["compared"][0]["auroc"]["value"] == told["screening"]["areas"]["auroc"]["value"] < told["compared"][1]["auroc"]["value"]
    assert run(paths[0], "--beside", tmp_path / "b" / ".." / "a" / "predictions.csv", *QUICK).exit_code == 2
    inside = [tmp_path / "p.csv", tmp_path / "a" / "p.csv"]
    for path, signal in zip(inside, (0.5, 2.5), strict=True):
        write_predictions(path, planted(45, signal=signal))
    told = json.loads(run("p.csv", "--beside", "a/p.csv", "--json", *QUICK, folder=tmp_path).stdout)
    assert [each["name"] for each in told["compared"]] == ["p.csv", "a/p.csv"]


def test_tables_without_patients_are_evaluated_by_group_or_image_and_say_so(run, tmp_path):
    cases = [
        replace(case, patient_id="", is_patient_known=False, group=case.patient_id if int(case.patient_id[1:]) < 30 else "")
        for case in planted(45)
    ]
    write_predictions(tmp_path / "p.csv", cases)
    result = run(tmp_path / "p.csv", *QUICK)
    assert result.exit_code == 0, result.output
    assert "45 patients" in result.stdout
    assert "note: the patient of 90 of 90 images is unknown" in " ".join(result.stdout.split())
    assert "within folds, mean: AUROC" in result.stdout
