from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from strnet_core.bundle import ModelBundle
from strnet_core.cli.main import app
from tests.unit.strnet_core.dicom_files import ramp, write


@pytest.fixture
def run():
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def test_phantom_writes_films_with_labels_and_refuses_a_folder_that_has_some(run, tmp_path):
    words = ("phantom", tmp_path, "--count", 1, "--rows", 420, "--columns", 330, "--spacing-mm", 0.65)
    assert run(*words).exit_code == 0
    assert len(list((tmp_path / "images").glob("*.dcm"))) == 1
    assert (tmp_path / "labels.csv").read_text().startswith("image,patient_id,label_cls,t_score,age,sex,bmi,")
    assert run(*words).exit_code == 1


def test_schematic_phantoms_are_written_as_png_and_npy(run, tmp_path):
    result = run("phantom", tmp_path, "--count", 1, "--schematic", "ap")
    assert result.exit_code == 0, result.output
    (stored,) = tmp_path.glob("*.npy")
    assert np.load(stored).dtype == np.uint16
    assert len(list(tmp_path.glob("*.png"))) == 1
    counted = run("knees", next(tmp_path.glob("*.png")), "--json")
    assert counted.exit_code == 0
    assert json.loads(counted.stdout)[0]["knees"] == 1


def test_knees_says_which_file_is_bad_and_exits_with_1(run, tmp_path):
    good = write(tmp_path / "good.dcm", ramp())
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(b"rubbish")
    result = run("knees", good, bad, "--json")
    assert result.exit_code == 1
    assert [row["error"] for row in json.loads(result.stdout)] == [None, "unreadable"]
    assert "unreadable" in run("knees", bad).output


def test_a_good_bundle_verifies_and_a_damaged_one_exits_with_1(run, demonstration: ModelBundle, tmp_path):
    result = run("bundle", "verify", demonstration.folder, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "good" in result.output
    assert run("bundle", "verify", tmp_path).exit_code == 1


def test_create_demo_refuses_a_folder_with_a_bundle(run, demonstration: ModelBundle):
    # cheap: the folder is looked at before anything is computed
    assert run("bundle", "create-demo", demonstration.folder).exit_code == 1


@pytest.mark.parametrize(
    "words",
    [
        ("phantom",),
        ("phantom", "x", "--schematic", "pa"),
        ("phantom", "x", "--format", "jpg"),
        ("phantom", "x", "--knees", "3"),
        ("nothing",),
        ("bench", "--device", "tpu"),
    ],
)
def test_wrong_use_exits_with_2(run, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*words).exit_code == 2
