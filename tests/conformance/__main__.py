"""Build the matrix, validate it, read it, say what came up. Exit 0: no errors; 1: errors; 2: the validators are not here."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from gateway.results.study_report import build_results

from . import ocr
from .cases import Case, reduced
from .matrix import LANGUAGES, in_every_language, in_language, is_new, whole
from .reading import read_all
from .validators import Verdict, kind_of, missing, validate


def write(cases: Iterable[Case], folder: Path) -> list[Path]:
    """Every new result of every case as <case>-<kind>.dcm."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for case in cases:
        for result in build_results(case.report, case.sources, case.settings, case.uid_for):
            if is_new(case, result.kind):
                file = folder / f"{case.name}-{result.kind}.dcm"
                file.write_bytes(result.content)
                files.append(file)
    return files


def error_lines(verdict: Verdict) -> list[str]:
    """Messages only: the script heads them with "<file>: <validator>"."""
    return [line for line in verdict.errors if not line.startswith(f"{verdict.file}:")]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--folder", type=Path, help="keep the built files here (default: a temporary folder)")
    parser.add_argument("--reduced", action="store_true", help="three cases in each language instead of the whole matrix")
    options = parser.parse_args(arguments)
    absent = missing()
    if absent:
        sys.stderr.write(
            f"validators are missing: {', '.join(absent)}; install dicom3tools, dcmtk, libpixelmed-java, default-jre-headless\n"
        )
        return 2
    few = [case for language in LANGUAGES for case in in_language(reduced(), language)]
    with tempfile.TemporaryDirectory() as temporary:
        files = write(few if options.reduced else whole(), options.folder or Path(temporary))
        return run(files, few if options.reduced else list(in_every_language()))


def run(files: list[Path], cases: list[Case]) -> int:
    """files: to be validated. cases: whose results are read."""
    done = 0

    def told(verdict: Verdict) -> None:
        nonlocal done
        done += 1
        print(f"[{done}/{len(files)}] {verdict.file.name}: {'no errors' if not verdict.errors else 'ERRORS'}", flush=True)
        for line in verdict.errors:
            print(f"    {line}", flush=True)

    verdicts = validate(files, told=told)
    print(
        f"words of {len(cases)} cases" + (f"; pages are not read: {ocr.missing()}" if ocr.missing() else ", pages read by OCR"), flush=True
    )
    wrong = read_all(cases)
    for problem in wrong:
        print(f"    {problem}", flush=True)
    warnings = Counter(kind_of(line) for verdict in verdicts for line in verdict.warnings)
    for kind, count in warnings.most_common():
        print(f"{count} x {kind}", flush=True)
    errors = sum(max(1, len(error_lines(verdict))) for verdict in verdicts if verdict.errors) + len(wrong)
    print(json.dumps({"objects": len(files), "errors": errors, "warnings": warnings.total()}))
    return 1 if errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
