"""`strnet-gateway conflicts`."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, open_database, operator_of, print_json, print_table, short
from gateway.config import load_settings
from gateway.domain.conflict import ConflictDecision, ConflictReason

app = typer.Typer(no_args_is_help=True, help="Instances of one SOP Instance UID that contradict each other: list, decide.")


@app.command("list")
def list_conflicts(config: ConfigOption = DEFAULT_CONFIG, *, json: JsonOption = False) -> None:
    """What waits for a person; of a case, `explain` tells the story. Exit code 1 when anything does."""
    from gateway.store.conflicts import Conflicts

    with open_database(load_settings(config)) as database:
        found = Conflicts(database).open()
    if json:
        print_json(found)
    else:
        columns = ("instance", "received (UTC)", "from", "because", "SOP instance", "first received (UTC)", "from")
        rows = [
            (
                c.instance_id,
                c.received_at,
                c.calling_ae_title,
                c.reason,
                short(c.sop_instance_uid),
                c.first_received_at,
                c.first_calling_ae_title,
            )
            for c in found
        ]
        print_table("Conflicts", columns, rows, whole=("instance",))
    raise typer.Exit(1 if found else 0)


@app.command()
def decide(
    instance: Annotated[str, typer.Argument(help="The instance as `conflicts list` names it.")],
    decision: Annotated[
        ConflictDecision, typer.Option("--decision", help="keep_first: the assessed one stands. keep_this: this one does.")
    ],
    reason: Annotated[ConflictReason, typer.Option("--reason", help="What was found out at the source; recorded.")],
    by: Annotated[str, typer.Option("--by", help="Who decides; recorded in the audit store.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Let one of the two stand. Its study is reported anew; both files are kept."""
    from gateway.store.conflicts import Conflicts

    with open_database(load_settings(config)) as database:
        Conflicts(database).decide(instance, decision, reason, actor=operator_of(by, reason.value).actor)
    print(f"{decision.value}: {instance}")
