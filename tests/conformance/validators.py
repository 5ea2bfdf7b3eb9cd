"""The public validators over finished files: dciodvfy, dsrdump and PixelMed; dcentvfy over the files of one study."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from pydicom import dcmread

from .pixelmed import JAR, template_errors
from .shape import by_shape

VALIDATORS: Final = ("dciodvfy", "dsrdump", "PixelMed", "dcentvfy")
COMMANDS: Final = ("dciodvfy", "dcentvfy", "dsrdump", "java")
AT_A_TIME: Final = 2
SECONDS_PER_FILE: Final = 60
_LENGTH: Final = re.compile(r"Value invalid for this VR \[(?P<vr>\w\w)\] = <(?P<value>.*)> - Length invalid .* expected <= (?P<most>\d+)")

REASONS: Final[tuple[tuple[str, str], ...]] = (
    ("Unrecognized defined term", "a private coding scheme is never in the validator's list; the report declares ours"),
    ("DeviceUID", "IHE AIR asks for Device UID in Contributing Equipment; the validator's tables of 2022 do not have it there"),
    ("DICOMDIR", "the source has no legal Patient ID, Study ID, Study Date or Study Time; empty is legal, and none is invented"),
    ("Retired Person Name form", "the source's name has no caret: that it is a family name alone is not ours to say"),
    ("only permitted to be empty when actually unknown", "a side that is unknown: Laterality is empty, as C.7.3.1 says"),
    (
        "does not support this Specific Character Set",
        "DCMTK does not check the characters of UTF-8; every text is decoded and checked by tests/headers/reading.py",
    ),
    ("Check for template constraints not yet supported", "DCMTK does not know TID 2010; PixelMed does"),
    ("counted in bytes", "PS3.5 6.2 counts characters, of a person name those of each component group; dciodvfy counts bytes of it all"),
    (
        "Different information entities",
        "dcentvfy looks for Accession Number in the series of a page and in the study of a report; the values are equal",
    ),
)
"""Why a warning remains: the first whose words it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """errors, warnings: what was said, by validator. A warning of PixelMed is an error."""

    file: Path
    errors: tuple[tuple[str, str], ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Said:
    errors: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)


@cache
def missing() -> tuple[str, ...]:
    """What is not installed, as a reader would look for it."""
    absent = [command for command in COMMANDS if shutil.which(command) is None]
    return (*absent, *([] if JAR.exists() else [JAR.name]))


def validate(
    files: Iterable[Path], *, templates_of: Iterable[Path] | None = None, told: Callable[[str], None] = lambda _: None
) -> list[Verdict]:
    """One verdict for each file, in their order. `told` hears how far it is.

    Reports of one shape are one to PixelMed: its templates say nothing of texts, numbers and UIDs, and their check takes a second.
    templates_of: reports that PixelMed sees, all by default.
    """
    files = list(files)
    said: dict[Path, _Said] = {file: _Said() for file in files}
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for number, (file, lines) in enumerate(zip(files, pool.map(_dciodvfy, files), strict=True), 1):
            _sort("dciodvfy", lines, said[file])
            if number % 200 == 0:
                told(f"dciodvfy: {number} of {len(files)} files")
        reports = [file for file, is_report in zip(files, pool.map(_is_report, files), strict=True) if is_report]
        for file, lines in zip(reports, pool.map(_dsrdump, reports), strict=True):
            said[file].errors += [("dsrdump", line) for line in lines if line.startswith(("E:", "F:"))]
            said[file].warnings += [("dsrdump", line) for line in lines if line.startswith("W:")]
    shapes = {alike[0]: alike for alike in by_shape(reports if templates_of is None else templates_of).values()}
    told(f"dsrdump: {len(reports)} reports; PixelMed: {len(shapes)} shapes of them")
    for number, (file, wrong) in enumerate(template_errors(list(shapes)), 1):
        for alike in shapes[file] if wrong else ():
            said[alike].errors += [("PixelMed", line) for line in wrong]
        if number % 20 == 0:
            told(f"PixelMed: {number} of {len(shapes)} shapes")
    return [Verdict(file=file, errors=tuple(found.errors), warnings=tuple(found.warnings)) for file, found in said.items()]


def consistent(groups: Iterable[Sequence[Path]]) -> list[Verdict]:
    """One verdict for each group of files of one study: whether they agree on patient, study and series (dcentvfy)."""

    def checked(group: Sequence[Path]) -> Verdict:
        lines = _said("dcentvfy", *map(str, group))
        found = _Said()
        _sort("dcentvfy", lines, found)
        return Verdict(file=group[0], errors=tuple(found.errors), warnings=tuple(found.warnings))

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return list(pool.map(checked, groups))


def said_by_dciodvfy(file: Path) -> Verdict:
    found = _Said()
    _sort("dciodvfy", _dciodvfy(file), found)
    return Verdict(file=file, errors=tuple(found.errors), warnings=tuple(found.warnings))


def of_one_study(files: Iterable[Path]) -> list[list[Path]]:
    """Files by what stands before the kind of result in their names: <case>-<kind>.dcm."""
    groups: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        groups[re.sub(r"-(sr|sc_\w+)$", "", file.stem)].append(file)
    return list(groups.values())


def kind_of(warning: str) -> str:
    """A warning without the places and values that it was met at, so that equal ones can be counted."""
    attribute = re.search(r"/(\w+)\([0-9a-f]{4},[0-9a-f]{4}\)(?:\[\d+\])?>", warning)
    kind = re.sub(r"<[^>]*>|for file .*", "", warning)
    return f"{re.sub(' +', ' ', kind).strip(' -')}{f': {attribute[1]}' if attribute else ''}"


def reason_of(warning: str) -> str:
    """Why it remains; "no reason is known" asks for one."""
    return next((reason for words, reason in REASONS if words in warning), "no reason is known")


def _sort(validator: str, lines: Sequence[str], into: _Said) -> None:
    """By errors and warnings; a length that the standard allows is no error."""
    for line in lines:
        if line.startswith("Error"):
            if _is_short_enough(line):
                into.warnings.append((validator, f"Warning - length counted in bytes: {line}"))
            else:
                into.errors.append((validator, line))
        elif line.startswith("Warning"):
            into.warnings.append((validator, line))


def _is_short_enough(line: str) -> bool:
    match = _LENGTH.search(line)
    if match is None:
        return False
    parts = match["value"].split("=") if match["vr"] == "PN" else [match["value"]]
    return all(len(part) <= int(match["most"]) for part in parts)


def _dciodvfy(file: Path) -> list[str]:
    # it names the IOD of every file that it could judge
    return _said("dciodvfy", "-new", str(file)) or ["Error - it said nothing"]


def _dsrdump(file: Path) -> list[str]:
    return _said("dsrdump", "+Pl", str(file)) or ["E: it said nothing"]


def _is_report(file: Path) -> bool:
    return "88" in str(dcmread(file, specific_tags=["SOPClassUID"], stop_before_pixels=True).SOPClassUID).split(".")


def _said(*command: str) -> list[str]:
    run = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=SECONDS_PER_FILE, check=False)
    return [line for line in (run.stdout + run.stderr).split("\n") if line.strip()]
