"""`strnet-gateway routes`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, print_json, print_table, watched
from gateway.config import load_settings
from gateway.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, help="Routes and eligibility.")


@app.callback()
def _group() -> None:
    """Routes and eligibility."""


@app.command("test")
def test_routes(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files or folders of them.", exists=True)],
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    peer: Annotated[str | None, typer.Option(help="As if this peer had sent them: only its routes.")] = None,
    json: JsonOption = False,
) -> None:
    """Print what would become of these files; nothing is stored or sent. Exit code 1 when a file cannot be read."""
    from gateway.app.dry_run import dry_run, files_under

    settings = load_settings(config)
    if peer is not None and peer not in {known.name for known in settings.peers}:
        raise ConfigurationError(f"no [[peers]] table is named {peer!r}")
    files = [file for path in paths for file in files_under(path)]
    found = list(watched(dry_run(settings, files, peer=peer), "files", len(files)))
    if json:
        print_json(found)
    else:
        print_table(
            "Would-be outcomes",
            ("file", "route", "outcome", "because"),
            [(w.file, w.route, w.outcome, w.reason) for w in found],
            whole=("outcome",),
        )
    sys.exit(1 if any(would_be.refused for would_be in found) else 0)
