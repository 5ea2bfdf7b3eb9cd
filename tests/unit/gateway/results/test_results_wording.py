"""Texts of results: nothing that denies, promises or contradicts."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from gateway.domain.finding import KneeFinding
from gateway.domain.outcome import InstanceOutcome, InstanceState, KneeDecision
from gateway.results import overlay, report_page, wording
from gateway.results.content_tree import content_tree
from gateway.results.plan import plan_of
from tests.conformance.cases import MODEL, Case, full, knee
from tests.conformance.sources import STUDY

FORBIDDEN = re.compile(r"probability|diagnos|normal|bone loss|osteop", re.IGNORECASE)
IDENTITY = ("Müller", "Änne", "Plain", "PID-7781", "ACC-4711", "19540203", "1954", "Referrer")


def texts_of(one: Case) -> list[str]:
    """Every text that a reader can meet: on pages, in the tree, in names of concepts and in their meanings."""
    plan = plan_of(one.report, one.sources, one.settings)
    texts = list(report_page.page_texts(plan))
    for image in plan.images:
        texts += overlay.page_texts(plan, image)
    overlays: dict[int, Dataset] = {}
    for element in content_tree(plan, overlays, one.uid_for).iterall():
        if element.keyword in ("TextValue", "CodeMeaning", "LongCodeValue"):
            texts.append(str(element.value))
    texts.append(wording.series_description(plan.report.model, "report"))
    return texts


CASES = [replace(one, report=replace(one.report, show_severity=True, show_t_score=True)) for one in full()]


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
def test_no_text_of_a_result_uses_a_forbidden_word(one: Case) -> None:
    for text in texts_of(one):
        assert not FORBIDDEN.search(text.replace("not a probability", "")), text


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
def test_no_page_tells_who_the_patient_is(one: Case) -> None:
    plan = plan_of(one.report, one.sources, one.settings)
    pages = [report_page.page_texts(plan), *(overlay.page_texts(plan, image) for image in plan.images)]
    for text in (text for page in pages for text in page):
        assert not any(secret in text for secret in IDENTITY), text


def test_page_texts_are_all_that_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the checks above read is what the pages show."""
    drawn: list[str] = []
    original = report_page.Canvas.paragraph
    monkeypatch.setattr(report_page.Canvas, "paragraph", lambda self, *args, **kw: (drawn.append(args[3]), original(self, *args, **kw))[1])
    one = next(iter(full()))
    plan = plan_of(one.report, one.sources, one.settings)
    report_page.report_page(plan)
    known = {*report_page.page_texts(plan), wording.NOT_PROCESSED_MEANING}
    assert set(drawn) <= known


@pytest.mark.parametrize(
    ("score", "threshold", "printed"),
    [
        (73.2, 0.44, "73"),
        (43.8, 0.44, "43.80"),
        (43.9999, 0.44, "43.99"),
        (44.0, 0.44, "44"),
        (44.4, 0.445, "44"),
        (0.2, 0.44, "0"),
    ],
)
def test_score_is_printed_whole_unless_rounding_would_cross_the_threshold(score: float, threshold: float, printed: str) -> None:
    assert str(wording.printed_score(knee("1.2", score=score, threshold=threshold), threshold).score) == printed


@given(
    threshold=st.floats(min_value=0.01, max_value=0.99),
    distance=st.one_of(st.floats(min_value=-1e-6, max_value=1e-6), st.floats(min_value=-40, max_value=40)),
    flagged=st.booleans(),
)
def test_printed_score_never_contradicts_the_decision(threshold: float, distance: float, flagged: bool) -> None:
    score = min(max(threshold * 100 + (abs(distance) if flagged else -abs(distance)), 0.001), 99.999)
    decision = KneeDecision.FLAGGED if flagged else KneeDecision.NOT_FLAGGED
    finding: KneeFinding = knee("1.2", score=score, threshold=threshold, decision=decision)
    shown = wording.printed_score(finding, threshold)
    assert (shown.score >= shown.threshold) == flagged
    assert abs(float(shown.score) - score) <= 0.51


def test_every_outcome_that_is_not_an_assessment_has_words() -> None:
    for outcome in InstanceOutcome:
        if outcome.state is not InstanceState.ASSESSED:
            assert outcome in wording.OUTCOMES
            assert outcome in wording.reason(outcome)


def test_not_flagged_never_stands_without_its_limit() -> None:
    assert "Does not exclude low bone density" in wording.decision(knee("1.2", score=3))


def test_performance_is_unknown_unless_the_card_tells_it() -> None:
    assert wording.evidence(MODEL) == wording.PERFORMANCE_UNKNOWN
    assert wording.evidence(replace(MODEL, evidence="Seen on 100 knees.")) == "Seen on 100 knees."


@pytest.mark.parametrize("use", ["demonstration", "research", "clinical", "something else"])
def test_series_description_fits_its_attribute(use: str) -> None:
    for what in ("report", "pages"):
        assert len(wording.series_description(replace(MODEL, intended_use=use), what)) <= 64


def test_network_is_named_with_its_weights() -> None:
    assert wording.network(MODEL) == f"STR-Net architecture, weights {MODEL.weights_sha256[:12]}"


def test_study_uid_is_no_text_of_a_page() -> None:
    one = next(iter(full()))
    plan = plan_of(one.report, one.sources, one.settings)
    assert not any(f"{STUDY}." in text for text in report_page.page_texts(plan))
