"""PixelMed's DicomSRValidator over many reports in one JVM, which costs seconds to start and a second for each report."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

JAR: Final = Path("/usr/share/java/pixelmed.jar")
_SERVER: Final = Path(__file__).with_name("PixelMed.java")
_THREADS: Final = 2
_FEW: Final = 12
_OPTIONS: Final = (
    # the style sheets hold 10,001 XPath operators; today's JREs refuse more than 10,000
    "-Djdk.xml.xpathExprOpLimit=0",
    "-Djdk.xml.xpathTotalOpLimit=0",
    "-Djdk.xml.xpathExprGrpLimit=0",
    "-XX:+UseSerialGC",
)
_QUICK: Final = "-XX:TieredStopAtLevel=1"
"""A JVM that lives for seconds has no time to optimise."""
_HUGE: Final = "-XX:-DontCompileHugeMethods"
"""One that lives for minutes has; compiled style sheets are one huge method each, which it would leave interpreted."""
_COMPLETE: Final = "Root Template Validation Complete"


class ValidatorDiedError(Exception):
    """The JVM ended before it had answered for every report. What it printed stands above."""


def template_errors(files: Sequence[Path]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """(file, complaints) as they come, in any order. A warning is a complaint, and so is a check that did not complete."""
    if not files:
        return
    names = {str(file.resolve()): file for file in files}
    command = ["java", *_OPTIONS, _QUICK if len(names) <= _FEW else _HUGE, "-cp", str(JAR), str(_SERVER), str(_THREADS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", errors="replace") as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            # names are read as they are needed: what a pipe holds is more than enough for thousands, and the rest waits here
            server.stdin.write("".join(f"{name}\n" for name in names))
            server.stdin.close()
            said: list[str] = []
            for line in server.stdout:
                if not line.startswith("END "):
                    said.append(line.rstrip())
                    continue
                yield names.pop(line[len("END ") :].rstrip("\n")), _complaints(said)
                said = []
        finally:
            server.kill()
    if names:
        raise ValidatorDiedError(f"{len(names)} reports without an answer")


def _complaints(said: Sequence[str]) -> tuple[str, ...]:
    wrong = [line for line in said if line.startswith(("Error", "Warning")) or "Exception" in line]
    if not any(_COMPLETE in line for line in said):
        # a validator that crashed has found nothing
        wrong.append("the template check did not complete")
    return tuple(wrong)
