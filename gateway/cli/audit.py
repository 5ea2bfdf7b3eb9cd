"""`strnet-gateway audit`."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from gateway.cli import recheck
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, open_database, print_json, short
from gateway.config import load_settings
from gateway.store.queries import Queries

_OWN_IDS: Final = ("instance_id", "association_id", "result_id", "delivery_id")
"""Left out of the table; `--json` has them."""

app = typer.Typer(no_args_is_help=True, help="Questions to the audit store.")
app.command("rebuild")(recheck.rebuild)
app.command("recompute")(recheck.recompute)


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
    for entry in entries:
        detail = " ".join(f"{name}={short(str(value))}" for name, value in entry.detail.items() if name not in _OWN_IDS)
        print(f"{entry.seq:>6} {entry.at:%F %T} {entry.event:<24} {detail}")
