"""Runs the project's validator script over files, a few at a time: PixelMed starts one JVM for each report."""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """errors: what the validators printed, line by line, with the lines that name file and validator."""

    file: Path
    errors: tuple[str, ...]


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
    run = subprocess.run(["bash", str(SCRIPT), str(file)], capture_output=True, text=True, timeout=SECONDS_PER_FILE, check=False)
    said = [line for line in (run.stdout + run.stderr).splitlines() if line.strip()]
    failed = run.returncode != 0
    return Verdict(file=file, errors=tuple(said or ["the validator script failed without a word"]) if failed else ())
