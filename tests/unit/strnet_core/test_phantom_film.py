"""Knee films true to size, cohorts of made-up patients, and the folders they are written to."""

from __future__ import annotations

import csv
import hashlib
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from strnet_core.bundle import PreprocessingSettings
from strnet_core.phantom import FilmParameters, draw_film, with_density
from strnet_core.phantom.cohort import CohortParameters, cases
from strnet_core.phantom.film_parameters import RANGES
from strnet_core.phantom.folder import COLUMNS, write_cohort
from strnet_core.radiograph import read_dicom, read_image
from strnet_core.survey import survey

DCIODVFY = Path("/usr/bin/dciodvfy")
QUIET = FilmParameters(rows=500, columns=400, pixel_spacing_mm=0.5, marker="none", noise=0.0, collimation_mm=0.0)
"""200 mm across, 250 mm down."""
SMALL = CohortParameters(count=3, rows=420, columns=330, pixel_spacing_mm=0.65, knees="mixed")
JOINT_ROW = 240
SHAFT = np.s_[30:60, 170:230]
"""Rows of the femur's shaft, the whole of it."""


def test_same_seed_draws_the_same_bytes_and_another_seed_does_not() -> None:
    noisy = replace(QUIET, noise=0.3)
    assert np.array_equal(draw_film(noisy, 1), draw_film(noisy, 1))
    assert not np.array_equal(draw_film(noisy, 1), draw_film(noisy, 2))
    assert draw_film(noisy, 1).max() <= 4095


@pytest.mark.parametrize("name", sorted(RANGES))
def test_every_number_has_a_range_and_changes_the_film(name: str) -> None:
    low, high = RANGES[name]
    for beyond in (low - 1, high + 1, float("nan")):
        with pytest.raises(ValueError, match=name):
            replace(QUIET, **{name: beyond})
    shown = replace(QUIET, noise=0.2, collimation_mm=5.0)
    other = 330 if name in ("rows", "columns") else high
    assert not np.array_equal(draw_film(shown, 1), draw_film(replace(shown, **{name: other}), 1))


@pytest.mark.parametrize(
    "change",
    [{"side": "L"}, {"knees": 2}, {"fibula": False}, {"patella": False}, {"marker": "plate"}, {"implant": "screws"}, {"implant": "nail"}],
)
def test_every_choice_changes_the_film(change: dict[str, object]) -> None:
    assert not np.array_equal(draw_film(QUIET, 1), draw_film(replace(QUIET, **change), 1))  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"side": "B"}, {"knees": 3}, {"marker": "glyph"}, {"implant": "cast"}])
def test_choice_that_does_not_exist_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="out of range"):
        replace(QUIET, **change)  # type: ignore[arg-type]


def test_thicker_cortex_is_measured_in_the_shaft() -> None:
    """The wall is what is far brighter than the marrow in the middle; in pixels of 0.5 mm."""
    widths = []
    for thickness in (2.0, 5.0):
        # no mineral between the walls, nothing scattered: what is bright is wall
        film = replace(QUIET, cortical_thickness_mm=thickness, cancellous_density=0.0, scatter=0.0, blur_mm=0.0)
        half = draw_film(film, 1)[SHAFT].astype(float).mean(axis=0)[:30]
        widths.append(int((half > (half[-1] + half.max()) / 2.0).sum()))
    assert widths[1] >= widths[0] + 3


def test_denser_bone_is_brighter_and_the_air_is_not() -> None:
    porotic, dense = (draw_film(with_density(QUIET, density), 1).astype(float) for density in (0.1, 0.9))
    condyles = np.s_[JOINT_ROW - 60 : JOINT_ROW - 20, 150:250]
    assert dense[condyles].mean() > 1.1 * porotic[condyles].mean()
    assert abs(dense[:, :8].mean() - porotic[:, :8].mean()) < 60


def test_joint_space_opens_where_it_is_said_to() -> None:
    narrow, wide = (draw_film(replace(QUIET, joint_space_mm=space), 1).astype(float) for space in (1.0, 9.0))
    gap = np.s_[JOINT_ROW - 2 : JOINT_ROW + 3, 150:170]
    assert wide[gap].mean() < 0.9 * narrow[gap].mean()


@pytest.mark.parametrize(("side", "knees"), [("R", ["R"]), ("L", ["L"])])
def test_fibula_lies_on_the_outer_side(side: str, knees: list[str]) -> None:
    film = replace(QUIET, side=side, soft_tissue_mm=10.0)  # type: ignore[arg-type]
    with_it, without = draw_film(film, 1).astype(float), draw_film(replace(film, fibula=False), 1).astype(float)
    added = (with_it - without)[320:].sum(axis=0)
    outer_left = added[:200].sum() > added[200:].sum()
    assert outer_left == (knees == ["R"])


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, Path]:
    """A cohort in DX and the same one as pictures."""
    for name, file_format in (("dx", "dx"), ("png", "png")):
        write_cohort(tmp_path / name, SMALL, file_format)  # type: ignore[arg-type]
    return tmp_path / "dx", tmp_path / "png"


def test_folder_tells_the_truth_of_every_film(written: tuple[Path, Path]) -> None:
    for folder in written:
        with (folder / "labels.csv").open(encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        assert tuple(rows[0]) == COLUMNS
        assert COLUMNS[:7] == ("image", "patient_id", "label_cls", "t_score", "age", "sex", "bmi")
        assert [row["patient_id"] for row in rows] == [case.patient_id for case in cases(SMALL)]
        for row in rows:
            score, label = float(row["t_score"]), int(row["label_cls"])
            assert label == (0 if score >= -1.0 else 2 if score <= -2.5 else 1)
            assert (folder / "images" / row["image"]).is_file()


def test_films_are_read_as_the_knees_that_they_show(written: tuple[Path, Path]) -> None:
    dx, png = written
    for case in cases(SMALL):
        found = survey(read_dicom(dx / "images" / f"{case.patient_id}.dcm"), PreprocessingSettings())
        assert len(found.knees) == case.film.knees
        assert all(knee.measures["not_a_knee"] < 0.42 for knee in found.knees)
        assert len(survey(read_image(png / "images" / f"{case.patient_id}.png"), PreprocessingSettings()).knees) == case.film.knees
        header = dcmread(dx / "images" / f"{case.patient_id}.dcm", stop_before_pixels=True)
        assert header.ImageLaterality == ("B" if case.film.knees == 2 else case.film.side)
        assert float(header.PatientWeight) / float(header.PatientSize) ** 2 == pytest.approx(case.bmi)
        assert [float(value) for value in header.ImagerPixelSpacing] == [0.65, 0.65]


def test_cohort_again_has_the_same_bytes_and_a_larger_one_begins_alike(written: tuple[Path, Path], tmp_path: Path) -> None:
    write_cohort(tmp_path / "again", replace(SMALL, count=2))
    for file in sorted((tmp_path / "again" / "images").iterdir()):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        assert digest == hashlib.sha256((written[0] / "images" / file.name).read_bytes()).hexdigest()


def test_folder_with_labels_is_not_written_over(written: tuple[Path, Path]) -> None:
    with pytest.raises(FileExistsError):
        write_cohort(written[0], SMALL)


def test_covariates_tell_nothing_of_the_bone() -> None:
    found = list(cases(CohortParameters(count=400)))
    scores = [case.t_score for case in found]
    for other in ([case.age_years for case in found], [case.bmi for case in found], [case.sex == "F" for case in found]):
        assert abs(float(np.corrcoef(scores, other)[0, 1])) < 0.12
    assert {case.label for case in found} == {0, 1, 2}


def test_metal_is_seen_as_metal() -> None:
    from strnet_core.phantom.folder import encoded

    case = replace(
        next(cases(CohortParameters(count=1, seed=4))), film=FilmParameters(implant="knee", rows=700, columns=560, pixel_spacing_mm=0.4)
    )
    assert _measures(encoded(case, "png"))["metal"] >= 0.1
    assert _measures(encoded(replace(case, film=replace(case.film, implant="none")), "png"))["metal"] == 0.0


def _measures(png: bytes) -> dict[str, float]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "film.png"
        file.write_bytes(png)
        return dict(survey(read_image(file), PreprocessingSettings()).knees[0].measures)


@pytest.mark.peers
@pytest.mark.skipif(not DCIODVFY.exists(), reason="dicom3tools is not installed (make test PEERS=install)")
def test_dx_objects_are_legal(written: tuple[Path, Path]) -> None:
    for file in sorted((written[0] / "images").iterdir()):
        said = subprocess.run([DCIODVFY, file], capture_output=True, text=True, timeout=60, check=False)
        assert (said.stdout + said.stderr).splitlines() == ["DXImageForPresentation"]
