from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

from strnet_core.cli.main import app


@pytest.fixture
def seen():
    def run(*files):
        result = CliRunner().invoke(app, ["knees", *map(str, files), "--json"])
        return result.exit_code, json.loads(result.stdout)

    return run


def test_each_knee_is_told_with_box_side_flags_and_measures(seen, cases):
    code, (single, two) = seen(next(cases.glob("d01*.dcm")), next(cases.glob("d03*.dcm")))
    assert code == 0
    (knee,) = single["found"]
    assert (single["knees"], knee["side"], knee["side_known_by"], knee["flags"]) == (1, "L", "tags", [])
    assert knee["box"]["left"] < knee["box"]["right"]
    assert [knee["flags"] for knee in two["found"]] == [[], ["metal"]]
    assert [knee["side_known_by"] for knee in two["found"]] == ["unknown", "unknown"]
    assert two["found"][0]["box"]["right"] <= two["valley_column"] <= two["found"][1]["box"]["left"]


def test_a_jpeg_knows_no_side_and_a_bad_file_has_a_code(seen, knee_films, tmp_path):
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(b"rubbish")
    shutil.copy(knee_films / "N10.jpg", tmp_path / "film.JPG")
    code, (film, broken) = seen(tmp_path / "film.JPG", bad)
    assert code == 1
    assert [knee["side"] for knee in film["found"]] == ["U", "U"]
    assert "lossy" in film["flags"]
    assert (broken["error"], broken["knees"]) == ("unreadable", None)


def test_the_table_has_a_row_per_knee(cases):
    result = CliRunner().invoke(app, ["knees", str(next(cases.glob("d03*.dcm")))], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "1 of 2" in result.stdout
    assert "METAL" in result.stdout
