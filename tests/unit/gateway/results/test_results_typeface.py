"""The font: every character that a page can need has a glyph, and lines break where they may."""

from __future__ import annotations

from importlib.resources import files
from io import BytesIO

import pytest
from fontTools.ttLib import TTFont
from hypothesis import given
from hypothesis import strategies as st

from gateway.results.texts import CATALOGUES, sentences
from gateway.results.typeface import FILE, can_draw, drawable, drawn, font
from gateway.results.wrapping import wrapped


@pytest.fixture(scope="module")
def glyphs() -> dict[int, str]:
    return TTFont(BytesIO(FILE.read_bytes())).getBestCmap()  # type: ignore[no-any-return]


@pytest.mark.parametrize("language", CATALOGUES)
def test_every_character_of_the_catalogue_has_a_glyph(language: str, glyphs: dict[int, str]) -> None:
    used = {character for _, text in sentences(CATALOGUES[language]) for character in text}  # type: ignore[index]
    assert {character for character in used if ord(character) not in glyphs} == set()


def test_font_holds_what_pages_draw_and_nothing_else(glyphs: dict[int, str]) -> None:
    assert {chr(code) for code in glyphs} == drawable()


def test_glyphs_of_chinese_characters_are_drawn_not_left_blank() -> None:
    assert len({bytes(font(24).getmask(character)) for character in "骨密度膝评"}) == 5
    assert all(any(font(24).getmask(character)) for character in "骨密度膝评")


def test_font_is_small_and_comes_with_its_licence() -> None:
    assert len(FILE.read_bytes()) < 400_000
    assert "SIL OPEN FONT LICENSE Version 1.1" in (files("gateway.results.fonts") / "OFL.txt").read_text(encoding="utf-8")


def test_character_without_a_glyph_is_a_question_mark_not_a_blank() -> None:
    assert drawn("Prüfung 한글") == "Prüfung ??"
    assert can_draw("Prüfung")
    assert not can_draw("한글")


def test_chinese_breaks_without_spaces_and_keeps_closing_marks_off_the_head_of_a_line() -> None:
    text = "未标记或此处未列出的膝仍可能骨密度低，本结果不能排除低骨密度。" * 3
    for width in range(120, 400, 7):
        lines = wrapped(text, size=19, width=width)
        assert "".join(lines) == text
        assert len(lines) > 2
        assert not any(line[0] in "，。" for line in lines)


def test_opening_mark_stays_with_what_it_opens() -> None:
    for width in range(100, 400, 7):
        assert not any(line.endswith("（") for line in wrapped("AI评分73（0-100，非概率）" * 4, size=19, width=width))


def test_latin_breaks_at_spaces_only() -> None:
    text = "A knee that is not flagged, or not listed here, may have low bone density."
    for width in range(150, 600, 31):
        lines = wrapped(text, size=19, width=width)
        assert " ".join(lines) == text


@given(text=st.text(alphabet="ab (),.，。（）骨密度1-", max_size=80), width=st.integers(min_value=60, max_value=300))
def test_wrapping_loses_nothing(text: str, width: int) -> None:
    assert "".join("".join(wrapped(text, size=19, width=width)).split()) == "".join(text.split())


@given(text=st.text(alphabet="ab骨密度1-，（", min_size=1, max_size=80), width=st.integers(min_value=60, max_value=300))
def test_no_line_is_wider_than_asked(text: str, width: int) -> None:
    assert all(font(19).getlength(line) <= width for line in wrapped(text, size=19, width=width))
