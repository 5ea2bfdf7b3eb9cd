from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from strnet_core.engines.phantom_images import phantom_radiograph
from strnet_core.knees import count_knees, split_knees
from strnet_core.phantom import PhantomParameters
from strnet_core.radiograph import Radiograph, read_dicom, read_image, to_8bit
from tests.unit.strnet_core.test_foreground import radiograph

# counted by eye on contact sheets: every other film of the 164 shows two knees
_SINGLE_NAMES = """
N18 N24 N25 N26 N28 N29 N31 N33 N34 N35 N36 OP100 OP103 OP105 OP106 OP108 OP109 OP111 OP114 OP115 OP116 OP117 OP119
OP120 OP121 OP124 OP125 OP126 OP127 OP128 OP129 OP132 OP133 OP136 OP137 OP140 OP141 OP142 OP143 OP146 OP147 OP148
OP149 OP150 OP151 OP154 OP58 OP95 OP97 OP98 OS23 OS26 OS27 OS28 OS30 OS31 OS33 OS35 OS37 OS39 OS41 OS42 OS43 OS44
OS45 OS47 OS48
"""
SINGLE = frozenset(_SINGLE_NAMES.split())


def mirrored(image: Radiograph) -> Radiograph:
    return dataclasses.replace(image, words=np.ascontiguousarray(image.words[:, ::-1]))


@pytest.mark.parametrize("tilt", [-12.0, 0.0, 12.0])
@pytest.mark.parametrize(("rows", "columns"), [(600, 500), (480, 720), (720, 360)])
def test_a_single_phantom_is_one_knee(rows, columns, tilt):
    count = count_knees(phantom_radiograph(PhantomParameters(rows=rows, columns=columns, tilt=tilt), 3))
    assert count.knees == 1
    assert count.valley_column is None


@pytest.mark.parametrize(("rows", "columns"), [(600, 800), (768, 630)])
def test_two_phantom_knees_are_two_with_the_valley_between(rows, columns):
    image = phantom_radiograph(PhantomParameters(knees=2, rows=rows, columns=columns), 4)
    count = count_knees(image)
    assert count.knees == 2
    assert abs(count.valley_column - columns / 2) < 0.06 * columns
    halves = split_knees(image, count)
    assert [count_knees(half).knees for half in halves] == [1, 1]
    assert sum(half.columns for half in halves) == columns


def test_a_single_knee_off_centre_is_never_split():
    image = phantom_radiograph(PhantomParameters(rows=600, columns=500), 5)
    for left, right in ((0, 400), (400, 0), (0, 900)):
        moved = radiograph(np.pad(image.presentation, ((0, 0), (left, right)), constant_values=0.02))
        assert count_knees(moved).knees == 1
        assert split_knees(moved, count_knees(moved)) == (moved,)


def test_a_mirror_mirrors_the_valley():
    image = phantom_radiograph(PhantomParameters(knees=2, rows=600, columns=900), 6)
    assert abs(count_knees(image).valley_column + count_knees(mirrored(image)).valley_column - 900) <= 8


def varied(image: Radiograph, name: str) -> Radiograph:
    shown, (rows, columns) = image.presentation, image.presentation.shape
    if name.startswith("turned"):
        turn = cv2.getRotationMatrix2D((columns / 2, rows / 2), float(name.split()[1]), 1.0)
        shown = cv2.warpAffine(shown, turn, (columns, rows))
    elif name == "noisy":
        shown = shown + np.random.default_rng(0).normal(0.0, 0.03, shown.shape)
    elif name == "darker":
        shown = shown**1.6
    elif name == "brighter":
        shown = shown**0.7
    elif name == "border":
        shown = np.pad(shown, ((rows // 8, rows // 8), (columns // 5, columns // 3)))
    elif name == "cropped":
        shown = shown[rows // 12 : -rows // 12, columns // 40 : -columns // 40]
    elif name == "bright collimator":
        shown = np.pad(shown, ((rows // 20, 0), (0, 0)), constant_values=1.0)
    return radiograph(np.clip(shown, 0.0, 1.0))


VARIATIONS = ["turned 4", "turned -4", "noisy", "darker", "brighter", "border", "cropped", "bright collimator"]


@pytest.mark.parametrize(("case", "knees"), [("d01", 1), ("d02", 2), ("d03", 2), ("d05", 1)])
def test_the_real_knee_cases_are_counted_right(cases, case, knees):
    (source,) = cases.glob(f"{case}*.dcm")
    assert count_knees(read_dicom(source)).knees == knees


def test_all_164_films_are_counted_right(knee_films):
    films = sorted(knee_films.glob("*.jpg"))
    wrong = [film.stem for film in films if count_knees(read_image(film)).knees != (1 if film.stem in SINGLE else 2)]
    assert len(films) == 164
    assert wrong == []


@pytest.mark.parametrize("name", VARIATIONS)
def test_variations_of_real_films_are_counted_as_the_films(knee_films, name):
    # touching legs, a tilted collimator, legs cut at the skin, a long-leg film; single knees with a hand, a glyph, a grey background
    for film in ("OP42", "OP26", "OP6", "N16", "OP100", "N36", "N29"):
        image = varied(read_image(knee_films / f"{film}.jpg"), name)
        assert count_knees(image).knees == (1 if film in SINGLE else 2), film


@pytest.mark.parametrize("film", ["N18", "OP143", "OS30"])
def test_a_wide_film_with_one_knee_is_one_knee_wherever_it_stands(knee_films, film):
    image = read_image(knee_films / f"{film}.jpg")
    for left, right in ((0, image.columns), (image.columns, 0)):
        assert (
            count_knees(
                radiograph(np.pad(image.presentation, ((0, 0), (left, right)), constant_values=float(np.percentile(image.presentation, 5))))
            ).knees
            == 1
        )


def test_no_split_runs_through_bone(knee_films, cases):
    films = [read_image(film) for film in sorted(knee_films.glob("*.jpg"))[::3] if film.stem not in SINGLE]
    films += [read_dicom(next(cases.glob(f"{case}*.dcm"))) for case in ("d02", "d03")]
    assert len(films) > 30
    for image in films:
        column = count_knees(image).valley_column
        grey = to_8bit(image)
        # bone is the brighter part of what is brighter than air; a collimator's edge may cross the column, an eighth of it
        air, _ = cv2.threshold(grey.reshape(1, -1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        bone, _ = cv2.threshold(grey[grey > air].reshape(1, -1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        assert np.mean(grey[:, column] > bone) <= 1 / 8
        assert grey[:, column].mean() < 0.5 * bone


def test_halves_of_real_films_are_single_knees(knee_films):
    for film in sorted(knee_films.glob("*.jpg"))[::16]:
        image = read_image(film)
        assert [count_knees(half).knees for half in split_knees(image, count_knees(image))] in ([1], [1, 1])
