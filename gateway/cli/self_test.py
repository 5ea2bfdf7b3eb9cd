"""`strnet-gateway self-test`."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.jobs import ByOption, ReasonOption
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, open_database, operator_of, print_json, print_table, short
from gateway.config import load_settings
from gateway.store.self_tests import SelfTests

app = typer.Typer(no_args_is_help=True, help="The constancy self-test of the workers: list, accept.")


@app.command("list")
def list_self_tests(config: ConfigOption = DEFAULT_CONFIG, *, json: JsonOption = False) -> None:
    """The latest self-test of each worker. Exit code 1 when one deviated and nobody has accepted it."""
    with open_database(load_settings(config)) as database:
        found = SelfTests(database).of_each_worker()
    if json:
        print_json(found)
    else:
        rows = [
            (
                one.worker,
                one.ended_at,
                "passed" if one.passed else " ".join(one.deviations),
                _figure(one.logit_difference),
                _figure(one.saliency_difference),
                one.accepted_by or "",
                one.profile,
                short(one.bundle_hash),
            )
            for one in found
        ]
        columns = ("worker", "ended (UTC)", "came to", "logit differs by", "map differs by", "accepted by", "profile", "bundle")
        print_table("Self-tests", columns, rows, whole=("worker",))
    raise typer.Exit(1 if any(one.stops_analyses for one in found) else 0)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"


@app.command()
def accept(
    worker: Annotated[str, typer.Argument(help="The worker's host as `self-test list` names it.")],
    by: ByOption,
    reason: ReasonOption,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Let a worker take analyses again although its latest self-test deviated. It holds until the next self-test."""
    operator = operator_of(by, reason)
    with open_database(load_settings(config)) as database:
        accepted = SelfTests(database).accept(worker, operator)
    print(f"{worker}: accepted in spite of {' '.join(accepted.deviations)}")
