"""Reads finished results as a machine and as a person would, and says where they use a word that they must not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BytesIO

from pydicom import dcmread
from pydicom.dataset import Dataset

from gateway.config import Language
from gateway.results.study_report import build_results

from . import ocr
from .cases import Case
from .words import SNOMED, forbidden, own_texts, snomed_codes


def results(case: Case) -> dict[str, Dataset]:
    """Finished results by kind, read back from their files."""
    return {result.kind: read_back(result.content) for result in build_results(case.report, case.sources, case.settings, case.uid_for)}


def read_back(content: bytes) -> Dataset:
    return dcmread(BytesIO(content))


def wrong_words(case: Case, found: dict[str, Dataset]) -> Iterator[str]:
    """In attributes and content items that the gateway wrote, and in codes."""
    sources = [source.dataset for source in case.sources.values()]
    for kind, result in found.items():
        yield from wrong_words_of(f"{case.name} {kind}", result, sources)


def wrong_words_of(name: str, result: Dataset, sources: Iterable[Dataset]) -> Iterator[str]:
    """Of one result. sources: headers whose texts it may repeat."""
    for keyword, text in own_texts(result, sources):
        if word := forbidden(text):
            yield f"{name} {keyword}: {word!r} in {text!r}"
    for code in sorted(snomed_codes(result) - SNOMED):
        yield f"{name}: SNOMED CT {code} is not one of ours"


def page_texts(case: Case, found: dict[str, Dataset]) -> dict[str, str]:
    """What OCR reads on each page, by kind."""
    pages = {kind: result for kind, result in found.items() if kind != "sr"}
    return {kind: ocr.read_page(page.pixel_array, case.settings.language) for kind, page in pages.items()}


def wrong_words_on_page(name: str, text: str, language: Language) -> Iterator[str]:
    """text: what OCR reads on the page. A page on which nothing could be read is wrong too."""
    if ocr.KNOWN[language] not in text:
        yield f"{name}: the page could not be read"
    if word := forbidden(text):
        yield f"{name}: {word!r} on the page"
