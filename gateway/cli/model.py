"""`strnet-gateway model`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.jobs import ByOption, ReasonOption
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, open_database, operator_of, print_json, print_table
from gateway.config import destinations_for_live, load_settings
from gateway.domain.bundle_state import BundleState
from gateway.store.bundles import Bundles

app = typer.Typer(no_args_is_help=True, help="Bundles and whose results may leave: list, promote, rollback, retire.")

HashArgument = Annotated[str, typer.Argument(help="The bundle's hash, or its first digits (`model list`).", metavar="HASH")]
_DIGITS = 12


@app.command("list")
def list_bundles(config: ConfigOption = DEFAULT_CONFIG, *, json: JsonOption = False) -> None:
    """Every bundle that was opened here. Exit code 1 when there are destinations that wait for a live bundle and none is."""
    settings = load_settings(config)
    with open_database(settings) as database:
        found = Bundles(database).all()
    if json:
        print_json(found)
    else:
        columns = ("bundle", "version", "intended use", "state", "live since (UTC)", "last act", "by", "second", "reason")
        rows = [
            (
                b.bundle_hash[:_DIGITS],
                b.version,
                b.intended_use,
                b.state,
                b.live_since,
                b.last_action,
                b.last_by,
                b.last_second,
                b.last_reason,
            )
            for b in found
        ]
        print_table("Bundles", columns, rows, whole=("bundle", "state"))
    waits = destinations_for_live(settings) and not any(b.state == BundleState.LIVE for b in found)
    raise typer.Exit(1 if waits else 0)


@app.command()
def promote(
    bundle: HashArgument,
    by: ByOption,
    second: Annotated[str, typer.Option("--second", help="Who else stands for it, one word; another person than --by.")],
    reason: ReasonOption,
    evidence: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="report.json of `strnet validate` on this site's own patients.")
    ],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Make a bundle live: its results may go to destinations of class research or clinical.

    Refused without evidence from patients in the intended ages.
    """
    from gateway.app.promotion import promote as promoted

    settings = load_settings(config)
    with open_database(settings) as database:
        story = promoted(settings, database, bundle, operator_of(by, reason), operator_of(second, reason), evidence)
    print(f"live: {story.bundle_hash}, evidence {(story.evidence_sha256 or '')[:_DIGITS]}")
    print("Workers that have its folder in [model] take it up by themselves; what they have begun with they finish.")


@app.command()
def rollback(
    by: ByOption,
    reason: ReasonOption,
    second: Annotated[str | None, typer.Option("--second", help="Who else was asked; recorded.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Undo the last promotion: the bundle before it is live again, this one is in shadow, and nothing more of it is sent."""
    with open_database(load_settings(config)) as database:
        operator = operator_of(by, reason)
        live, shadow = Bundles(database).roll_back(operator, None if second is None else operator_of(second, reason))
    print(f"live: {live}\nin shadow: {shadow}")


@app.command()
def retire(bundle: HashArgument, by: ByOption, reason: ReasonOption, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Take a bundle out of use for good; nothing more of it is sent. Where it was live, no bundle is."""
    with open_database(load_settings(config)) as database:
        bundles = Bundles(database)
        story = bundles.named(bundle)
        bundles.retire(story.bundle_hash, operator_of(by, reason))
    print(f"retired: {story.bundle_hash}")
