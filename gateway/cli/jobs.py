"""`strnet-gateway jobs`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, open_database, print_json, print_table
from gateway.config import load_settings
from gateway.store.job_queue import JobQueue
from gateway.store.queries import Queries

app = typer.Typer(no_args_is_help=True, help="The queue: list, hold, release.")

JobArgument = Annotated[int, typer.Argument(help="Job number.")]
ByOption = Annotated[str, typer.Option("--by", help="Who does this; recorded in the audit store.")]


@app.command("list")
def list_jobs(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    state: Annotated[str, typer.Option(help="queued, running, retry, dead, held or done; empty = all that are not done.")] = "",
    json: JsonOption = False,
) -> None:
    """Jobs that wait, run, or need a person."""
    with open_database(load_settings(config)) as database:
        found = Queries(database).jobs(state)
    if json:
        print_json(found)
        return
    rows = [(j.job_id, j.kind, j.state, j.attempts, j.lease_expiries, j.last_code) for j in found]
    print_table("Jobs", ("job", "kind", "state", "failed attempts", "lost leases", "last code"), rows)


@app.command()
def hold(job: JobArgument, by: ByOption, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Keep a job from running until it is released."""
    _operate(config, lambda queue: queue.hold(job, actor=f"operator:{by}"))


@app.command()
def release(job: JobArgument, by: ByOption, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Put a held or dead job back into the queue."""
    _operate(config, lambda queue: queue.release(job, actor=f"operator:{by}"))


def _operate(config: ConfigOption, act: Callable[[JobQueue], None]) -> None:
    settings = load_settings(config)
    with open_database(settings) as database:
        act(JobQueue(database, lease_seconds=settings.worker.lease_seconds, max_lease_expiries=settings.worker.max_lease_expiries))
