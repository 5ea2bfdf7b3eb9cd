"""The catalogues against each other: the same texts with the same gaps, and nothing left in the other language."""

from __future__ import annotations

import re
import string

import pytest

from gateway.domain.finding import LateralitySource
from gateway.results.texts import CATALOGUES, sentences

ENGLISH = dict(sentences(CATALOGUES["en"]))
CHINESE = dict(sentences(CATALOGUES["zh"]))
HAN = re.compile(r"[\u3400-\u9fff]")
NO_WORDS = {
    "language_code",
    "language_meaning",
    "sentence_gap",
    "list_gap",
    "reason",
    "unnamed_reason",
    "findings.inputs",
    "findings.of_knee",
}
NO_WORDS |= {"card.side_of_image", "card.unassessed", "images.knee_of_image", "labels.sentence"}


def gaps(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def test_languages_have_the_same_texts() -> None:
    assert set(CHINESE) == set(ENGLISH)


@pytest.mark.parametrize("place", ENGLISH)
def test_text_has_the_same_gaps_in_every_language(place: str) -> None:
    assert gaps(CHINESE[place]) == gaps(ENGLISH[place])


@pytest.mark.parametrize("place", sorted(set(ENGLISH) - NO_WORDS))
def test_text_is_written_in_its_language(place: str) -> None:
    assert not HAN.search(ENGLISH[place])
    # rejection notes are written in English, whatever the language
    assert HAN.search(CHINESE[place]) or place.startswith(("sexes[", "descriptions.rejection_")), CHINESE[place]


@pytest.mark.parametrize("texts", CATALOGUES.values(), ids=CATALOGUES)
def test_every_source_of_a_side_has_words(texts: object) -> None:
    assert set(texts.side_sources) == set(LateralitySource)  # type: ignore[attr-defined]


def test_chinese_sentences_use_chinese_punctuation() -> None:
    ascii_mark = re.compile(r"[\u3400-\u9fff][,;:?!(]|[,;:?!)][\u3400-\u9fff]")
    assert [text for text in CHINESE.values() if ascii_mark.search(text)] == []
