"""Build the matrix, validate it, read it, say what came up. Exit 0: no errors; 1: errors; 2: the validators are not here."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydicom import dcmread

from . import ocr, summary
from .build import AT_A_TIME, Built, as_in_service, build, distinct_pages
from .cases import Case, reduced
from .matrix import LANGUAGES, in_language, of_headers, whole
from .reading import wrong_words_on_page
from .validators import consistent, missing, of_one_study, validate


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--folder", type=Path, help="keep the built files here (default: a temporary folder)")
    parser.add_argument("--reduced", action="store_true", help="three cases in each language instead of the whole matrix")
    options = parser.parse_args(arguments)
    if missing():
        sys.stderr.write(
            f"validators are missing: {', '.join(missing())}; install dicom3tools, dcmtk, libpixelmed-java, default-jre-headless\n"
        )
        return 2
    as_in_service()
    cases = [case for language in LANGUAGES for case in in_language(reduced(), language)] if options.reduced else [*whole(), *of_headers()]
    with tempfile.TemporaryDirectory() as temporary:
        return run(cases, options.folder or Path(temporary))


def run(cases: list[Case], folder: Path) -> int:
    started = time.monotonic()

    def told(what: str) -> None:
        print(f"[{time.monotonic() - started:5.0f} s] {what}", flush=True)

    told(f"{len(cases)} cases")
    built = build(cases, folder, told=told)
    files = [one.file for one in built]
    told(f"{len(files)} objects")
    verdicts = validate(files, told=told)
    told("dcentvfy: files of each case together")
    verdicts += consistent(of_one_study(files))
    wrong = [problem for one in built for problem in one.wrong]
    told(f"words and characters: {len(wrong)} errors in {len(files)} objects")
    pages = distinct_pages(built)
    told(f"pages are not read: {ocr.missing()}" if ocr.missing() else f"OCR: {len(pages)} pages unlike each other")
    wrong += [] if ocr.missing() else read(pages)
    told("done")
    for line in (*summary.by_validator(verdicts), *(f"ERROR {problem}" for problem in wrong)):
        print(line)
    errors = sum(len(verdict.errors) for verdict in verdicts) + len(wrong)
    print(json.dumps({"objects": len(files), "errors": errors, "warnings": sum(len(verdict.warnings) for verdict in verdicts)}))
    return 1 if errors else 0


def read(pages: Iterable[Built]) -> list[str]:
    """What is wrong in the words of pages, read from their pixels."""

    def read_one(page: Built) -> list[str]:
        text = ocr.read_page(dcmread(page.file).pixel_array, page.language)
        return list(wrong_words_on_page(f"{page.case} {page.kind}", text, page.language))

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return [problem for problems in pool.map(read_one, pages) for problem in problems]


if __name__ == "__main__":
    raise SystemExit(main())
