"""However the images of a study come, it ends in one current report; the same pixels by other roads change nothing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.acceptance.sequences import KNEES, ORDERS, SentStudy, audit
from tests.acceptance.serving import Serving
from tests.peers.orthanc import Orthanc

IN_CI = ("backwards, each sent again with the next", "all in one association, and again")
"""The rest of them with `make sequences`."""


@pytest.mark.parametrize("order", IN_CI)
def test_images_in_any_order_end_in_one_current_report_of_every_knee(gateway: Serving, pacs: Orthanc, tmp_path: Path, order: str) -> None:
    study = SentStudy(gateway, pacs, tmp_path)
    held = [study.send(" + ".join(step), [study.image(name) for name in step]) for step in ORDERS[order]]
    assert [len(holding.current) for holding in held if holding.reports] == [1] * len([holding for holding in held if holding.reports])
    last = held[-1]
    assert study.send("", [study.image(name) for name in ORDERS[order][0]]).results == last.results
    assert (last.knees, last.revision) == (KNEES, last.reports)
    assert last.page_series == last.reports


def test_same_pixels_by_another_road_change_nothing_in_the_pacs(gateway: Serving, pacs: Orthanc, tmp_path: Path) -> None:
    held = list(SentStudy(gateway, pacs, tmp_path).by_roads())
    assert len(held[0].results) == 3
    assert {holding.results for holding in held} == {held[0].results}


def test_all_results_made_again_twice_are_the_same_files(gateway: Serving, tmp_path: Path) -> None:
    folders = [tmp_path / "once", tmp_path / "twice"]
    for folder in folders:
        done = audit(gateway, "rebuild", "--into", str(folder), "--json")
        answers = json.loads(done.stdout)
        assert done.returncode == 0, done.stderr
        assert {answer["comparison"] for answer in answers} == {"equal"}
    once, twice = ({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()} for folder in folders)
    assert once == twice
    assert sorted(once) == sorted(f"{answer['sop_instance_uid']}.dcm" for answer in answers)
    assert set(once.values()) == {answer["sha256"] for answer in answers}


def test_every_image_assessed_again_has_its_decision(gateway: Serving) -> None:
    done = audit(gateway, "recompute", "--json")
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert len(answers) >= 3
    assert {tuple(answer["differences"]) for answer in answers} == {()}
