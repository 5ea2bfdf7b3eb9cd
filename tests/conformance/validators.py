"""Runs the project's validator script over files, a few at a time: PixelMed starts one JVM for each report."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[3] / "shared" / "tools" / "check-results.sh"
COMMANDS = ("dciodvfy", "dcmdump", "dsrdump", "java")
PIXELMED = Path("/usr/share/java/pixelmed.jar")
AT_A_TIME = 2
SECONDS_PER_FILE = 180
QUICK_JVM = {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
"""A JVM that lives for seconds has no time to optimise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """errors: what the validators printed, line by line, with the lines that name file and validator. warnings: of dciodvfy and dsrdump.

    A warning of PixelMed is an error: the script says so.
    """

    file: Path
    errors: tuple[str, ...]
    warnings: tuple[str, ...]


def missing() -> list[str]:
    """What is not installed, as a reader would look for it."""
    absent = [command for command in COMMANDS if shutil.which(command) is None]
    absent += [path.name for path in (SCRIPT, PIXELMED) if not path.exists()]
    return absent


def validate(files: Iterable[Path], *, told: Callable[[Verdict], None] = lambda _: None) -> list[Verdict]:
    """One verdict per file; `told` hears each as it comes."""
    verdicts = []
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for verdict in pool.map(_validate, files):
            told(verdict)
            verdicts.append(verdict)
    return verdicts


def _validate(file: Path) -> Verdict:
    code, said = _said("bash", str(SCRIPT), str(file))
    errors = (said or ("the validator script failed without a word",)) if code else ()
    return Verdict(file=file, errors=errors, warnings=_warnings(file))


def _warnings(file: Path) -> tuple[str, ...]:
    _, of_dciodvfy = _said("dciodvfy", "-new", str(file))
    found = [line for line in of_dciodvfy if line.startswith("Warning")]
    if file.stem.endswith("-sr"):
        _, of_dsrdump = _said("dsrdump", str(file))
        found += [line for line in of_dsrdump if line.startswith("W:")]
    return tuple(found)


def kind_of(warning: str) -> str:
    """A warning without the places it was met at, so that equal ones can be counted."""
    return re.sub(r"\[\d+\]|/[^ ]*/|<[^>]*>", "", warning).strip()


def _said(*command: str) -> tuple[int, tuple[str, ...]]:
    environment = {**os.environ, **QUICK_JVM}
    run = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=SECONDS_PER_FILE, check=False, env=environment)
    return run.returncode, tuple(line for line in (run.stdout + run.stderr).splitlines() if line.strip())
