"""`strnet-gateway ingest`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.app.dry_run import files_under
from gateway.app.file_ingest import FileAnswer, ingest_files
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, open_database, print_json, print_table
from gateway.config import load_settings


def ingest(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files or folders of them.", exists=True)],
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    json: JsonOption = False,
) -> None:
    """Take files in as if they had been sent by C-STORE. Exit code 1 when one is refused."""
    settings = load_settings(config)
    files = [file for path in paths for file in files_under(path)]
    answers: list[FileAnswer] = []
    with open_database(settings, create=True) as database, typer.progressbar(length=len(files), label="files", file=sys.stderr) as progress:
        for answer in ingest_files(settings, database, files):
            answers.append(answer)
            progress.update(1)
    if json:
        print_json(answers)
    else:
        print_table("Ingested", ("file", "status", "reason"), [(a.file, a.dimse_status, a.reason) for a in answers])
    sys.exit(1 if any(answer.dimse_status != "0000" for answer in answers) else 0)
