from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from strnet_core.engines.phantom_images import phantom_radiograph
from strnet_core.phantom import PhantomParameters
from strnet_core.quality import (
    DEFAULT_FLAGS,
    DEFAULT_THRESHOLDS,
    blank,
    burned_in_text,
    clipped,
    joint_window,
    metal,
    overexposed,
    polarity_suspect,
    raised,
    underexposed,
)
from strnet_core.quality.exposure import leg_of
from strnet_core.radiograph import Radiograph, read_dicom, to_8bit
from strnet_core.small_image import small_image
from tests.unit.strnet_core.test_foreground import radiograph


def knee(**changes) -> Radiograph:
    return phantom_radiograph(PhantomParameters(**{"rows": 900, "columns": 750, "marker": False, **changes}), 9)


def metal_of(image: Radiograph) -> float:
    return metal(joint_window(to_8bit(image), x=image.columns / 2, y=0.47 * image.rows, side=0.4 * image.rows))


def with_drawing(image: Radiograph, draw) -> Radiograph:
    shown = np.rint(image.presentation * 200).astype(np.uint8)
    draw(shown)
    return Radiograph.from_presentation(shown / 255.0, image.valid)


def test_a_flag_is_raised_at_its_threshold_and_not_below():
    limits = {"metal": 0.1, "clipped": 0.05}
    assert raised({"metal": 0.1, "clipped": 0.049}, limits) == ("metal",)
    assert raised({"clipped": 0.06, "metal": 0.0999}, limits) == ("clipped",)
    assert raised({"something else": 9.0}, limits) == ()
    assert raised({"metal": float("nan")}, limits) == ("metal",)


def test_the_table_says_what_refuses():
    assert {code for code, flag in DEFAULT_FLAGS.items() if flag.action == "warn"} == {
        "clipped",
        "crop_fallback",
        "lossy",
        "burned_in_text",
    }
    assert {code for code, flag in DEFAULT_FLAGS.items() if flag.level == "image"} == {
        "blank",
        "polarity_suspect",
        "lossy",
        "burned_in_text",
    }
    assert dict(DEFAULT_THRESHOLDS) == {code: flag.threshold for code, flag in DEFAULT_FLAGS.items()}


@pytest.mark.parametrize(("knees", "columns"), [(1, 500), (2, 800)])
def test_inverted_phantoms_are_suspect_and_right_ones_are_not(knees, columns):
    image = phantom_radiograph(PhantomParameters(knees=knees, rows=600, columns=columns), 7)
    inverted = dataclasses.replace(image, table=1.0 - image.table)
    assert raised({"polarity_suspect": polarity_suspect(small_image(image))}) == ()
    assert raised({"polarity_suspect": polarity_suspect(small_image(inverted))}) == ("polarity_suspect",)


def test_blank_films_are_blank_and_phantoms_are_not():
    stripe = np.full((300, 300), 0.3)
    stripe[:3] = 1.0
    for image, expected in ((radiograph(stripe), True), (radiograph(np.full((50, 50), 0.3)), True), (knee(), False)):
        assert ("blank" in raised({"blank": blank(small_image(image))})) == expected


def test_a_screw_and_a_prosthesis_in_the_bone_are_metal():
    def screw(shown):
        cv2.line(shown, (320, 470), (430, 460), 255, 9)

    def prosthesis(shown):
        cv2.ellipse(shown, (375, 390), (95, 55), 0, 0, 180, 255, -1)
        cv2.rectangle(shown, (290, 440), (460, 470), 255, -1)
        cv2.rectangle(shown, (360, 440), (390, 560), 255, -1)

    assert metal_of(knee()) == 0.0
    assert raised({"metal": metal_of(with_drawing(knee(), screw))}) == ("metal",)
    assert metal_of(with_drawing(knee(), prosthesis)) > 5 * metal_of(with_drawing(knee(), screw))


def test_lead_outside_of_the_leg_and_a_bright_border_are_no_metal():
    def ball(shown):
        cv2.circle(shown, (40, 420), 22, 255, -1)
        cv2.putText(shown, "L", (690, 400), cv2.FONT_HERSHEY_SIMPLEX, 2.0, 255, 8)

    def border(shown):
        shown[:120] = 255

    assert metal_of(with_drawing(knee(), ball)) == 0.0
    assert metal_of(with_drawing(knee(), border)) == 0.0


def test_dense_bone_without_a_marker_to_set_the_scale_is_no_metal():
    for density in (0.1, 0.5, 1.0):
        assert raised({"metal": metal_of(knee(density=density))}) == ()


def test_exposure_follows_the_leg_and_not_the_air():
    grey = np.zeros((256, 200), np.float32)
    grey[:, 60:140] = 200.0
    leg = leg_of(grey)
    assert leg[:, 62:138].all()
    assert not leg[:, :50].any()
    assert underexposed(grey, leg) == pytest.approx(1.0 - 200.0 / 255.0)
    assert overexposed(grey, leg) == pytest.approx(200.0 / 255.0)
    assert clipped(grey, leg) == 0.0
    grey[:64, 60:140] = 255.0
    assert clipped(grey, leg) == pytest.approx(0.25, abs=0.02)
    nothing = np.zeros(grey.shape, bool)
    assert (underexposed(grey, nothing), overexposed(grey, nothing), clipped(grey, nothing)) == (1.0, 0.0, 0.0)


def test_a_line_of_text_is_seen_and_a_marker_is_not():
    def marker(shown):
        cv2.putText(shown, "R", (30, 90), cv2.FONT_HERSHEY_SIMPLEX, 1.5, 255, 3)

    def name(shown):
        cv2.putText(shown, "M U S T E R M A N N", (300, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2)

    marked, written = with_drawing(knee(rows=1200, columns=1000), marker), with_drawing(knee(rows=1200, columns=1000), name)
    assert raised({"burned_in_text": burned_in_text(to_8bit(marked))}) == ()
    assert raised({"burned_in_text": burned_in_text(to_8bit(written))}) == ("burned_in_text",)


def test_text_on_a_real_film_is_seen(cases):
    image = read_dicom(next(cases.glob("r06*.dcm")))
    assert raised({"burned_in_text": burned_in_text(to_8bit(image))}) == ("burned_in_text",)
