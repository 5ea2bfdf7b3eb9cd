"""Texts of results: nothing that denies, promises or contradicts, in any language."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageDraw

import gateway.results
from gateway.domain.finding import KneeFinding
from gateway.domain.outcome import InstanceOutcome, InstanceState, KneeDecision
from gateway.results import overlay, report_page
from gateway.results.plan import plan_of
from gateway.results.printed_score import printed_score
from gateway.results.texts import CATALOGUES, sentences, texts_for
from gateway.results.wording import Wording
from tests.conformance.cases import MODEL, Case, full, knee
from tests.conformance.matrix import in_every_language
from tests.conformance.reading import results, wrong_words
from tests.conformance.sources import STUDY
from tests.conformance.words import forbidden

IDENTITY = ("Müller", "Änne", "Plain", "PID-7781", "ACC-4711", "19540203", "1954", "Referrer")
LANGUAGES = [pytest.param(Wording(texts), id=language) for language, texts in CATALOGUES.items()]


def telling_all(one: Case) -> Case:
    """With severity and T-score, which need evidence."""
    model = replace(one.report.model, evidence="Seen on 100 knees.")
    return replace(one, report=replace(one.report, model=model, show_severity=True, show_t_score=True))


CASES = [telling_all(one) for one in in_every_language()]


def pages_of(one: Case) -> list[str]:
    plan = plan_of(one.report, one.sources, one.settings)
    return [*report_page.page_texts(plan), *(text for image in plan.images for text in overlay.page_texts(plan, image))]


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
def test_no_text_of_a_result_uses_a_forbidden_word_and_no_code_is_a_disorder(one: Case) -> None:
    assert list(wrong_words(one, results(one))) == []
    for text in pages_of(one):
        assert not forbidden(text), text


@pytest.mark.parametrize("language", CATALOGUES)
def test_no_text_of_a_catalogue_uses_a_forbidden_word(language: str) -> None:
    wrong = {place: forbidden(text) for place, text in sentences(CATALOGUES[language]) if forbidden(text)}  # type: ignore[index]
    assert wrong == {}


@pytest.mark.parametrize(
    "text",
    [
        "Probability of bone loss",
        "probability 73 %",
        "Diagnosis: none",
        "Normal bone density",
        "Osteoporosis (disorder)",
        "Osteopenia",
        "healthy bone",
        "This rules out low bone density",
        "Low bone density is excluded",
        "negative",
        "骨密度正常",
        "概率73%",
        "诊断：骨质疏松",
        "骨量减少",
        "排除低骨密度",
        "健康",
        "阴性",
    ],
)
def test_forbidden_claim_is_found(text: str) -> None:
    assert forbidden(text)


@pytest.mark.parametrize(
    "text",
    ["AI score 73 (0-100, not a probability)", "Does not exclude low bone density.", "cannot rule it out", "（0-100，非概率）", "不能排除"],
)
def test_denial_of_a_claim_is_no_claim(text: str) -> None:
    assert forbidden(text) is None


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
def test_no_page_tells_who_the_patient_is(one: Case) -> None:
    for text in pages_of(one):
        assert not any(secret in text for secret in IDENTITY), text


@pytest.mark.parametrize("language", CATALOGUES)
def test_page_texts_are_all_that_is_drawn(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the checks above read is what the pages show."""
    drawn: list[str] = []
    original = ImageDraw.ImageDraw.text
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", lambda self, xy, text, **kw: (drawn.append(text), original(self, xy, text, **kw))[1])
    one = next(iter(full()))
    plan = plan_of(one.report, one.sources, one.settings.model_copy(update={"language": language}))
    known = "".join([*report_page.page_texts(plan), *overlay.page_texts(plan, plan.images[0])]).replace(" ", "")
    assert drawn
    assert [line for line in drawn if line.replace(" ", "") not in known] == []


def test_no_sentence_of_a_result_stands_outside_the_catalogue() -> None:
    """Strings with a space in the modules that build results: only codes, errors and docstrings have any."""
    folder = Path(gateway.results.__file__).parent
    without_texts, no_text = {"codes.py", "outbound_gate.py"}, {"ISO_IR 192"}
    found = {file.name: _sentences_in(file) - no_text for file in folder.glob("*.py") if file.name not in without_texts}
    assert {name: texts for name, texts in found.items() if texts} == {}


def _sentences_in(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise):
            skipped |= {id(child) for child in ast.walk(node)}
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped and " " in node.value.strip()
    }


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
    assert str(printed_score(knee("1.2", score=score, threshold=threshold), threshold).score) == printed


@given(
    threshold=st.floats(min_value=0.01, max_value=0.99),
    distance=st.one_of(st.floats(min_value=-1e-6, max_value=1e-6), st.floats(min_value=-40, max_value=40)),
    flagged=st.booleans(),
)
def test_printed_score_never_contradicts_the_decision(threshold: float, distance: float, flagged: bool) -> None:
    score = min(max(threshold * 100 + (abs(distance) if flagged else -abs(distance)), 0.001), 99.999)
    decision = KneeDecision.FLAGGED if flagged else KneeDecision.NOT_FLAGGED
    finding: KneeFinding = knee("1.2", score=score, threshold=threshold, decision=decision)
    shown = printed_score(finding, threshold)
    assert (shown.score >= shown.threshold) == flagged
    assert abs(float(shown.score) - score) <= 0.51


@pytest.mark.parametrize("wording", LANGUAGES)
def test_every_outcome_that_is_not_an_assessment_has_words(wording: Wording) -> None:
    for outcome in InstanceOutcome:
        if outcome.state is not InstanceState.ASSESSED:
            assert wording.texts.outcomes[outcome] in wording.reason(outcome)
            assert f"[{outcome}]" in wording.reason(outcome)


def test_outcome_without_words_is_told_by_its_code() -> None:
    assert Wording(texts_for("zh")).reason("of_a_later_release") == "[of_a_later_release]"


@pytest.mark.parametrize(("language", "limit"), [("en", "Does not exclude low bone density"), ("zh", "不能排除低骨密度")])
def test_not_flagged_never_stands_without_its_limit(language: str, limit: str) -> None:
    decisions = texts_for(language).decisions  # type: ignore[arg-type]
    for text in (decisions.not_flagged, decisions.not_flagged_sentence, decisions.not_flagged_in_summary):
        assert limit.lower() in text.lower()


@pytest.mark.parametrize("wording", LANGUAGES)
def test_performance_is_unknown_unless_the_card_tells_it(wording: Wording) -> None:
    assert wording.evidence(MODEL) == wording.texts.performance_unknown
    assert wording.evidence(replace(MODEL, evidence=" ")) == wording.texts.performance_unknown
    assert wording.evidence(replace(MODEL, evidence="Seen on 100 knees.")) == "Seen on 100 knees."


@pytest.mark.parametrize("wording", LANGUAGES)
@pytest.mark.parametrize("use", ["demonstration", "research", "clinical", "something else"])
def test_series_description_fits_its_attribute_and_is_labelled_unless_clinical(wording: Wording, use: str) -> None:
    model, labels = replace(MODEL, intended_use=use), wording.texts.labels
    short = {"clinical": "", "demonstration": labels.demonstration_short}.get(use, labels.research_short)
    for description in (wording.report_series(model), wording.pages_series(model)):
        assert len(description) <= 64
        assert description.startswith(short or "AI")


def test_network_is_named_with_its_weights() -> None:
    assert Wording(texts_for("en")).network(MODEL) == f"STR-Net architecture, weights {MODEL.weights_sha256[:12]}"
    assert MODEL.weights_sha256[:12] in Wording(texts_for("zh")).network(MODEL)


def test_chinese_reads_as_the_glossary_wants_it() -> None:
    wording = Wording(texts_for("zh"))
    flagged, not_flagged = knee("1.2", score=73), knee("1.2", score=21)
    assert wording.knee_sentence("右膝", flagged, MODEL) == "右膝：可能骨密度低。AI评分73（0-100，非概率），阈值44。"
    assert wording.decision(not_flagged) == "未标记。不能排除低骨密度。"
    assert wording.inputs("右膝", flagged) == "右膝：年龄67岁，性别女"


def test_study_uid_is_no_text_of_a_page() -> None:
    one = next(iter(full()))
    plan = plan_of(one.report, one.sources, one.settings)
    assert not any(f"{STUDY}." in text for text in report_page.page_texts(plan))
