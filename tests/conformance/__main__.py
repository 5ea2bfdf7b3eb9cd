"""Build the matrix, validate it, say what came up. Exit 0: no errors; 1: errors; 2: the validators are not here."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from gateway.results.study_report import build_results

from .cases import Case, full, reduced
from .validators import Verdict, missing, validate


def write(cases: Iterable[Case], folder: Path) -> list[Path]:
    """Every result of every case as <case>-<kind>.dcm."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for case in cases:
        for result in build_results(case.report, case.sources, case.settings, case.uid_for):
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
    parser.add_argument("--reduced", action="store_true", help="three cases instead of the whole matrix")
    options = parser.parse_args(arguments)
    absent = missing()
    if absent:
        sys.stderr.write(
            f"validators are missing: {', '.join(absent)}; install dicom3tools, dcmtk, libpixelmed-java, default-jre-headless\n"
        )
        return 2
    with tempfile.TemporaryDirectory() as temporary:
        return run(reduced() if options.reduced else full(), options.folder or Path(temporary))


def run(cases: Iterable[Case], folder: Path) -> int:
    files = write(cases, folder)
    done = 0

    def told(verdict: Verdict) -> None:
        nonlocal done
        done += 1
        print(f"[{done}/{len(files)}] {verdict.file.name}: {'no errors' if not verdict.errors else 'ERRORS'}", flush=True)
        for line in verdict.errors:
            print(f"    {line}", flush=True)

    verdicts = validate(files, told=told)
    errors = sum(max(1, len(error_lines(verdict))) for verdict in verdicts if verdict.errors)
    print(json.dumps({"objects": len(files), "errors": errors}))
    return 1 if errors else 0


if __name__ == "__main__":
    raise SystemExit(main())
