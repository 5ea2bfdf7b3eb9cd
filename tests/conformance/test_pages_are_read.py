"""Pages read back from their pixels by OCR, in both languages; all pages are read by `python -m tests.conformance`."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.results.canvas import Canvas

from . import ocr
from .cases import Case, reduced
from .matrix import LANGUAGES, in_language
from .reading import page_texts, results, wrong_words_on_page
from .words import forbidden

pytestmark = pytest.mark.skipif(bool(ocr.missing()), reason=ocr.missing())

SENTENCES = {
    "en": ("Does not exclude low bone density", "not a probability", "This result cannot rule it out"),
    "zh": ("不能排除低骨密度", "不是概率，也不是骨密度测量值", "本结果不能排除低骨密度"),
}


@pytest.fixture(scope="module", params=LANGUAGES)
def flagged_and_not(request: pytest.FixtureRequest) -> Case:
    return next(in_language(reduced(), request.param))


def test_pixels_of_no_page_hold_a_forbidden_word_and_the_limits_can_be_read(flagged_and_not: Case) -> None:
    texts = page_texts(flagged_and_not, results(flagged_and_not))
    language = flagged_and_not.settings.language
    assert [problem for kind, text in texts.items() for problem in wrong_words_on_page(kind, text, language)] == []
    for sentence in SENTENCES[language]:
        assert sentence in texts["sc_report_page"]


@pytest.mark.parametrize(("language", "text"), [("en", "Left knee: normal, no osteopenia"), ("zh", "左膝：骨密度正常，排除骨质疏松")])
def test_forbidden_words_would_be_read(language: str, text: str) -> None:
    canvas = Canvas()
    canvas.paragraph(32, 40, 900, text)
    canvas.y = 120
    pixels = canvas.pixels()
    assert pixels.dtype == np.uint8
    assert forbidden(ocr.read_page(pixels, language))
