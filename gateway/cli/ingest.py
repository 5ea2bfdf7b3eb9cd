"""`strnet-gateway ingest`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, open_database, print_json, print_table, watched
from gateway.config import load_settings

if TYPE_CHECKING:
    from gateway.app.file_ingest import FileAnswer


def ingest(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files or folders of them.", exists=True)],
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    json: JsonOption = False,
) -> None:
    """Take files in as if they had been sent by C-STORE. Exit code 1 when one is refused, or when there is none."""
    from gateway.app.dry_run import files_under
    from gateway.app.file_ingest import ingest_files

    settings = load_settings(config)
    files = [file for path in paths for file in files_under(path)]
    answers: list[FileAnswer] = []
    try:
        with (
            open_database(settings, create=True) as database,
            closing(ingest_files(settings, database, files)) as taken,
        ):
            # one by one: what was answered before something ends it is shown
            for answer in watched(taken, "files", len(files)):
                answers.append(answer)  # noqa: PERF402
    finally:
        # also when something ends it early: what was answered stands
        if json:
            print_json(answers)
        else:
            _print(answers, len(files))
    sys.exit(0 if answers and all(answer.taken for answer in answers) else 1)


def _print(answers: Sequence[FileAnswer], files: int) -> None:
    """Every refused file, and of the others how many."""
    refused = [answer for answer in answers if not answer.taken]
    if refused:
        rows = [(answer.file, answer.dimse_status, answer.reason, answer.words) for answer in refused]
        print_table("Refused", ("file", "status", "reason", "which means"), rows, whole=("status", "reason"))
    counts = Counter(answer.reason for answer in answers)
    print(f"{len(answers)} of {files} file(s): {', '.join(f'{reason} {count}' for reason, count in sorted(counts.items())) or 'none'}")
