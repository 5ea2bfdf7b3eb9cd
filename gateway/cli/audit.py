"""`strnet-gateway audit`."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, open_database, print_json, print_table
from gateway.config import load_settings
from gateway.store.queries import Queries

app = typer.Typer(no_args_is_help=True, help="Questions to the audit store.")


@app.callback()
def _group() -> None:
    """Questions to the audit store."""


@app.command()
def timeline(
    key: Annotated[str, typer.Argument(help="Accession number, or SOP, series or study instance UID.")],
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    json: JsonOption = False,
) -> None:
    """Every audit event of an instance, series or study, in order. Exit code 1 when nothing is known under the key."""
    with open_database(load_settings(config)) as database:
        entries = Queries(database).timeline(key)
    if json:
        print_json(entries)
        return
    rows = [(e.seq, e.at, e.actor, e.event, ", ".join(f"{name}={value}" for name, value in e.detail.items())) for e in entries]
    print_table("Timeline", ("seq", "at (UTC)", "actor", "event", "detail"), rows)
