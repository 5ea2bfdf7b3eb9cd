"""`strnet-gateway results`."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.app.result_release import release_result
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, open_database, operator_of, print_json
from gateway.config import load_settings

app = typer.Typer(no_args_is_help=True, help="Results that are withheld: release.")


@app.callback()
def _group() -> None:
    """Keeps `release` a subcommand while it is the only one."""


@app.command()
def release(
    key: Annotated[str, typer.Argument(help="Study instance UID, or the SOP instance UID or our id of a result.")],
    by: Annotated[str, typer.Option("--by", help="Who answers for it, one word; recorded in the audit store.")],
    reason: Annotated[
        str, typer.Option("--reason", help="Why: one word or a ticket number, no patient data; recorded in the audit store for good.")
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    json: JsonOption = False,
) -> None:
    """Let a study's newest report go that is withheld as late, ingested or recalled. What a policy withholds stays withheld."""
    operator = operator_of(by, reason)
    settings = load_settings(config)
    with open_database(settings) as database:
        done = release_result(settings, database, key, operator)
    if json:
        print_json(done)
        return
    print(f"revision {done.revision}, {done.results} result(s), was {done.withheld_as}: goes to {', '.join(done.destinations)}")
