"""`strnet-gateway db`."""

from __future__ import annotations

import typer

from gateway.cli.options import DEFAULT_CONFIG, ConfigOption
from gateway.config import load_settings, without_password
from gateway.store import schema
from gateway.store.database import Database

app = typer.Typer(no_args_is_help=True, help="The audit store's schema.")


@app.callback()
def _group() -> None:
    """The audit store's schema."""


@app.command()
def migrate(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Move the database to this release's schema. Back it up before."""
    settings = load_settings(config)
    database = Database(settings.database.url)
    try:
        before = schema.current_revision(database)
        schema.migrate(database)
        print(f"{without_password(settings.database.url)}: {before or 'empty'} -> {schema.current_revision(database)}")
    finally:
        database.close()
