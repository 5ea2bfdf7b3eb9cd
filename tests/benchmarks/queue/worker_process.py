"""The worker role as it is, with a note of every moment in which its engine computed: `CONFIG NOTES`, until SIGTERM."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from gateway.app.role import Role
from gateway.app.roles import run_role
from gateway.config import load_settings
from gateway.inference.analyzer import Analyzer, Answer, Question


def main() -> None:
    config, notes = sys.argv[1:]
    read_all = Analyzer.read_all
    with Path(notes).open("a", buffering=1, encoding="utf-8") as file:

        def noted(analyzer: Analyzer, asked: Sequence[Question]) -> tuple[Answer, ...]:
            began = time.time()
            try:
                return read_all(analyzer, asked)
            finally:
                file.write(json.dumps({"began": began, "ended": time.time(), "images": len(asked)}) + "\n")

        Analyzer.read_all = noted  # type: ignore[method-assign]
        run_role(Role.WORKER, load_settings(Path(config)))


if __name__ == "__main__":
    main()
