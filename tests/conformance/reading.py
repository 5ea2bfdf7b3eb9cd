"""Reads finished results as a machine and as a person would, and says where they use a word that they must not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

from pydicom import dcmread
from pydicom.dataset import Dataset

from gateway.results.study_report import build_results

from . import ocr
from .cases import Case
from .words import SNOMED, forbidden, own_texts, snomed_codes

AT_A_TIME = 2


def results(case: Case) -> dict[str, Dataset]:
    """Finished results by kind, read back from their files."""
    return {
        result.kind: dcmread(BytesIO(result.content)) for result in build_results(case.report, case.sources, case.settings, case.uid_for)
    }


def wrong_words(case: Case, found: dict[str, Dataset]) -> Iterator[str]:
    """In attributes and content items that the gateway wrote, and in codes."""
    sources = [source.dataset for source in case.sources.values()]
    for kind, result in found.items():
        for keyword, text in own_texts(result, sources):
            if word := forbidden(text):
                yield f"{case.name} {kind} {keyword}: {word!r} in {text!r}"
        for code in sorted(snomed_codes(result) - SNOMED):
            yield f"{case.name} {kind}: SNOMED CT {code} is not one of ours"


def page_texts(case: Case, found: dict[str, Dataset]) -> dict[str, str]:
    """What OCR reads on each page, by kind."""
    pages = {kind: result for kind, result in found.items() if kind != "sr"}
    return {kind: ocr.read_page(page.pixel_array, case.settings.language) for kind, page in pages.items()}


def wrong_words_on_pages(case: Case, texts: dict[str, str]) -> list[str]:
    """texts: of `page_texts`. A page on which nothing could be read is wrong too."""
    wrong = []
    for kind, text in texts.items():
        if ocr.KNOWN[case.settings.language] not in text:
            wrong.append(f"{case.name} {kind}: the page could not be read")
        if word := forbidden(text):
            wrong.append(f"{case.name} {kind}: {word!r} on the page")
    return wrong


def read_all(cases: Iterable[Case]) -> list[str]:
    """All that is wrong in the words of the cases' results; pages only where OCR is installed."""

    def read(case: Case) -> list[str]:
        found = results(case)
        pages = {} if ocr.missing() else page_texts(case, found)
        return [*wrong_words(case, found), *wrong_words_on_pages(case, pages)]

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return [problem for problems in pool.map(read, cases) for problem in problems]
