"""Builds cases, two at a time, and looks for forbidden words in what the gateway wrote."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from pydicom.dataset import Dataset

from gateway.config import Language
from gateway.dicom.part10 import set_tolerant_reading
from gateway.results.evidence import normalised
from gateway.results.study_report import build_results
from tests.headers.reading import undecodable

from .cases import Case
from .matrix import is_new
from .reading import read_back, wrong_words_of

AT_A_TIME = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """One file. pixels: SHA-256 of a page's, to know equal pages by; empty for a report."""

    case: str
    kind: str
    language: Language
    file: Path
    pixels: str
    wrong: tuple[str, ...]
    """Words that must not be in its attributes and content items, and texts that its character set does not have."""


def build(cases: Sequence[Case], folder: Path, *, told: Callable[[str], None] = lambda _: None) -> list[Built]:
    """Every result of every case that is unlike those before it, as <case>-<kind>.dcm."""
    folder.mkdir(parents=True, exist_ok=True)
    built: list[Built] = []
    with ProcessPoolExecutor(AT_A_TIME, mp_context=get_context("spawn"), initializer=as_in_service) as pool:
        for number, results in enumerate(pool.map(partial(build_one, folder=folder), cases, chunksize=8), 1):
            built += results
            if number % 100 == 0:
                told(f"built: {number} of {len(cases)} cases")
    return built


def build_one(case: Case, folder: Path) -> list[Built]:
    found = []
    inherited = [normalised(source.dataset) for source in case.sources.values()]
    for result in build_results(case.report, case.sources, case.settings, case.uid_for):
        if not is_new(case, result.kind):
            continue
        file = folder / f"{case.name}-{result.kind}.dcm"
        file.write_bytes(result.content)
        dataset = read_back(result.content)
        found.append(
            Built(
                case=case.name,
                kind=result.kind,
                language=case.settings.language,
                file=file,
                pixels="" if result.kind == "sr" else hashlib.sha256(dataset.PixelData).hexdigest(),
                wrong=tuple(wrong_in(f"{case.name} {result.kind}", result.content, inherited)),
            )
        )
    return found


def wrong_in(name: str, content: bytes, sources: Sequence[Dataset]) -> Iterator[str]:
    yield from (f"{name}: not in its character set: {text}" for text in undecodable(read_back(content)))
    yield from wrong_words_of(name, read_back(content), sources)


def distinct_pages(built: Iterable[Built]) -> list[Built]:
    """One file for each page that looks unlike all others in its language."""
    pages = {(one.language, one.pixels): one for one in built if one.pixels}
    return list(pages.values())


def as_in_service() -> None:
    """Odd values are read without a word, as the gateway reads them."""
    set_tolerant_reading()
    warnings.simplefilter("ignore")  # pydicom's, about headers that are odd on purpose
