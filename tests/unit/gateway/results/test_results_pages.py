"""Pixels: the map lies where the knee is, an empty map is said in words, and nothing is green."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread

from gateway.dicom.uids import derived_uid
from gateway.domain.finding import NotAssessed
from gateway.results.heat import blend, coloured, normalised_map
from gateway.results.overlay import overlay_page, page_texts
from gateway.results.plan import plan_of
from gateway.results.report_page import page_texts as report_page_texts
from gateway.results.report_page import report_page
from gateway.results.study_report import build_results
from tests.conformance.cases import Case, case, full, hot_spot, knee, report
from tests.conformance.matrix import in_language
from tests.conformance.sources import dx_header

CASES = list(full())
UID = str(dx_header().SOPInstanceUID)


@pytest.mark.parametrize(
    "values",
    [((0.0,) * 16,) * 16, (), ((),), ((float("nan"),) * 2,) * 2, ((float("inf"), -1.0),)],
    ids=["zero", "none", "empty", "nan", "inf"],
)
def test_map_without_a_positive_finite_value_is_no_map(values: tuple[tuple[float, ...], ...]) -> None:
    assert normalised_map(values) is None


def test_map_is_relative_to_its_own_maximum() -> None:
    scaled = normalised_map(hot_spot())
    assert scaled is not None
    assert scaled.max() == 1.0
    assert scaled.min() == 0.0


def test_blending_leaves_the_source_where_the_map_is_zero() -> None:
    grey = np.arange(64 * 64, dtype=np.uint32).reshape(64, 64).astype(np.uint8)
    saliency = np.zeros((16, 16), dtype=np.float32)
    saliency[2, 2] = 1.0
    blended = blend(grey, saliency, "inferno")
    assert (blended[32:, 32:] == grey[32:, 32:, None]).all()
    assert (blended[8:12, 8:12, 0] != blended[8:12, 8:12, 2]).any()


def test_empty_map_is_said_in_words() -> None:
    one = case("empty", [dx_header()], report(knee(UID, score=80, saliency=((0.0,) * 16,) * 16)))
    plan = plan_of(one.report, one.sources, one.settings)
    texts = page_texts(plan, plan.images[0])
    assert "No positive evidence" in texts
    assert any("nothing in this knee that raises the score" in text for text in texts)
    assert overlay_page(plan, plan.images[0]).dtype == np.uint8


def test_every_overlay_says_that_the_map_is_coarse() -> None:
    one = CASES[0]
    plan = plan_of(one.report, one.sources, one.settings)
    assert any("1 cell = 1/16 of the crop; not a localisation" in text for text in page_texts(plan, plan.images[0]))


def has_green(page: np.ndarray) -> bool:
    red, green, blue = (page[..., channel].astype(np.int16) for channel in range(3))
    return bool(((green > red + 12) & (green > blue + 12)).any())


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
def test_no_pixel_of_any_page_is_green_but_on_jet_overlays(one: Case) -> None:
    plan = plan_of(one.report, one.sources, one.settings)
    assert not has_green(report_page(plan))
    for image in plan.images:
        assert has_green(overlay_page(plan, image)) == (one.settings.colormap == "jet")


@pytest.mark.parametrize("colormap", ["inferno", "jet"])
def test_legend_shows_the_colours_of_the_chosen_map(colormap: str) -> None:
    one = case("map", [dx_header()], report(knee(UID, score=80)), colormap=colormap)
    plan = plan_of(one.report, one.sources, one.settings)
    bar = coloured(np.linspace(0, 1, 320, dtype=np.float32)[None], colormap)  # type: ignore[arg-type]
    page = overlay_page(plan, plan.images[0])
    rows = [row for row in page if any((row[left : left + 320] == bar[0]).all() for left in range(40, 120))]
    assert len(rows) == 16


def test_jet_leaves_the_source_where_the_map_is_zero() -> None:
    grey = np.full((32, 32), 100, dtype=np.uint8)
    saliency = np.zeros((16, 16), dtype=np.float32)
    saliency[2, 2] = 1.0
    assert (blend(grey, saliency, "jet")[16:, 16:] == 100).all()


@pytest.mark.parametrize("one", [*CASES, *in_language(CASES, "zh")], ids=lambda one: one.name)
def test_pages_are_as_wide_as_they_say_and_end_where_the_text_ends(one: Case) -> None:
    plan = plan_of(one.report, one.sources, one.settings)
    page = report_page(plan)
    assert page.shape[1:] == (1024, 3)
    assert 400 < page.shape[0] < 1600


def test_many_findings_make_a_longer_page_not_a_cut_one() -> None:
    header = dx_header()
    flags = tuple(f"quality_note_{n}" for n in range(30))
    one = case("many", [header], report(knee(UID, score=80, flags=flags)))
    plan = plan_of(one.report, one.sources, one.settings)
    short = report_page(plan_of(report(knee(UID, score=80)), one.sources, one.settings))
    assert report_page(plan).shape[0] > short.shape[0] + 500


def test_clinical_pages_carry_no_stamp() -> None:
    one = CASES[0]
    clinical = replace(one.report, model=replace(one.report.model, intended_use="clinical"))
    plan = plan_of(clinical, one.sources, one.settings)
    assert plan.wording.label(clinical.model) == ""
    assert report_page(plan).shape[0] < report_page(plan_of(one.report, one.sources, one.settings)).shape[0]


def test_hundreds_of_images_that_were_not_assessed_do_not_push_the_limits_off_the_page() -> None:
    header = dx_header()
    missed = tuple(NotAssessed(sop_instance_uid=f"2.25.7.{n}", sop_class_uid="1.2", outcome="ineligible_modality") for n in range(400))
    one = case("misrouted", [header], report(knee(UID, score=80), not_assessed=missed))
    plan = plan_of(one.report, one.sources, one.settings)
    assert any("and 396 more: not a radiograph" in text for text in report_page_texts(plan))
    assert report_page(plan).shape[0] < 1200


def test_knee_that_was_not_assessed_is_framed_and_named_on_the_overlay_of_its_image() -> None:
    (one,) = [one for one in full() if one.name == "dx-one-film-one-knee-excluded"]
    plan = plan_of(one.report, one.sources, one.settings)
    (image,) = plan.images
    assert "Left knee: not assessed" in page_texts(plan, image)
    assert any("left knee: metal in the image" in text and "[excluded_metal]" in text for text in report_page_texts(plan))
    whole = plan_of(replace(one.report, not_assessed=()), one.sources, one.settings)
    (without,) = whole.images
    assert not np.array_equal(overlay_page(plan, image), overlay_page(whole, without))


@pytest.mark.parametrize(("suspected", "expected"), [(False, "NO"), (True, "YES")])
def test_overlay_of_a_source_with_suspected_text_does_not_claim_to_be_free_of_it(suspected: bool, expected: str) -> None:
    one = case("text", [dx_header()], report(replace(knee(UID, score=80), text_suspected=suspected)))
    built = build_results(one.report, one.sources, one.settings, lambda kind: derived_uid(("test", kind)))
    (overlay,) = [dcmread(BytesIO(result.content)) for result in built if result.kind == "sc_overlay_1"]
    (card,) = [dcmread(BytesIO(result.content)) for result in built if result.kind == "sc_report_page"]
    assert (overlay.BurnedInAnnotation, card.BurnedInAnnotation) == (expected, "NO")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_evidence_in_a_script_that_the_font_lacks_is_pointed_to_and_stands_in_the_report(language: str) -> None:
    one = case("script", [dx_header()], report(knee(UID, score=80)), language=language)
    model = replace(one.report.model, evidence="한국어 코호트 100 무릎")
    plan = plan_of(replace(one.report, model=model), one.sources, one.settings)
    texts = report_page_texts(plan)
    assert plan.wording.texts.card.evidence_elsewhere in texts
    assert model.evidence not in texts
    assert model.evidence in plan.disclaimer


def test_card_of_several_images_that_were_not_assessed_starts_each_line_with_their_names() -> None:
    missed = tuple(NotAssessed(sop_instance_uid=f"2.25.7.{n}", sop_class_uid="1.2", outcome="ineligible_modality") for n in range(2))
    one = case("zh", [dx_header()], report(knee(UID, score=80), not_assessed=missed), language="zh")
    plan = plan_of(one.report, one.sources, one.settings)
    assert "实例...2.25.7.0；实例...2.25.7.1：不是X线平片（设备类型不符） [ineligible_modality]" in report_page_texts(plan)
