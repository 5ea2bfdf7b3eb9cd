from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from strnet_core.engines.phantom_images import phantom_radiograph
from strnet_core.knees import count_knees, is_blank, polarity_suspect, split_knees
from strnet_core.phantom import PhantomParameters
from strnet_core.radiograph import Radiograph, read_dicom, read_image
from tests.unit.strnet_core.test_foreground import radiograph

# counted by eye on contact sheets: every other film of the 164 shows two knees
_SINGLE_NAMES = """
N18 N24 N25 N26 N28 N29 N31 N33 N34 N35 N36 OP100 OP103 OP105 OP106 OP108 OP109 OP111 OP114 OP115 OP116 OP117 OP119
OP120 OP121 OP124 OP125 OP126 OP127 OP128 OP129 OP132 OP133 OP136 OP137 OP140 OP141 OP142 OP143 OP146 OP147 OP148
OP149 OP150 OP151 OP154 OP58 OP95 OP97 OP98 OS23 OS26 OS27 OS28 OS30 OS31 OS33 OS35 OS37 OS39 OS41 OS42 OS43 OS44
OS45 OS47 OS48
"""
SINGLE = frozenset(_SINGLE_NAMES.split())


def inverted(image: Radiograph) -> Radiograph:
    return dataclasses.replace(image, table=1.0 - image.table)


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
    mirrored = dataclasses.replace(image, words=np.ascontiguousarray(image.words[:, ::-1]))
    assert abs(count_knees(image).valley_column + count_knees(mirrored).valley_column - 900) <= 8


def test_inverted_phantoms_are_suspect_and_right_ones_are_not():
    for knees, columns in ((1, 500), (2, 800)):
        image = phantom_radiograph(PhantomParameters(knees=knees, rows=600, columns=columns), 7)
        assert not polarity_suspect(image)
        assert polarity_suspect(inverted(image))


def test_blank_films_are_blank_and_phantoms_are_not():
    flat = np.full((300, 300), 0.3)
    flat[:3] = 1.0
    assert is_blank(radiograph(flat))
    assert is_blank(radiograph(np.full((50, 50), 0.3)))
    assert not is_blank(phantom_radiograph(PhantomParameters(rows=600, columns=500), 8))


@pytest.mark.parametrize(("case", "knees"), [("d01", 1), ("d02", 2), ("d03", 2), ("d05", 1)])
def test_the_real_knee_cases_are_counted_right(cases, case, knees):
    (source,) = cases.glob(f"{case}*.dcm")
    image = read_dicom(source)
    assert count_knees(image).knees == knees
    assert not polarity_suspect(image)
    assert not is_blank(image)


def test_every_fourth_of_the_164_films_is_counted_right(knee_films):
    films = sorted(knee_films.glob("*.jpg"))[::4]
    wrong = [film.stem for film in films if count_knees(read_image(film)).knees != (1 if film.stem in SINGLE else 2)]
    assert wrong == []


def test_halves_of_real_films_are_single_knees_and_polarity_is_told(knee_films):
    for film in sorted(knee_films.glob("*.jpg"))[::16]:
        image = read_image(film)
        assert [count_knees(half).knees for half in split_knees(image, count_knees(image))] in ([1], [1, 1])
        assert not polarity_suspect(image)
        assert polarity_suspect(inverted(image))
