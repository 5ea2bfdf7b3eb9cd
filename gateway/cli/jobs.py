"""`strnet-gateway jobs`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, open_database, print_json, print_table, short
from gateway.config import load_settings
from gateway.domain.job import JobState
from gateway.store.job_queue import JobQueue
from gateway.store.queries import Queries

app = typer.Typer(no_args_is_help=True, help="The queue: list, hold, release.")

JobArgument = Annotated[int, typer.Argument(help="Job number.")]
ByOption = Annotated[str, typer.Option("--by", help="Who does this; recorded in the audit store.")]


@app.command("list")
def list_jobs(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    state: Annotated[JobState | None, typer.Option(help="Only this state; without it all that are not done.")] = None,
    json: JsonOption = False,
) -> None:
    """Jobs that wait, run, or need a person."""
    with open_database(load_settings(config)) as database:
        found = Queries(database).jobs(state or "")
    if json:
        print_json(found)
        return
    rows = [(j.job_id, j.kind, j.state, j.attempts, j.last_code, j.next_at, short(j.study_instance_uid)) for j in found]
    columns = ("job", "kind", "state", "failed", "last code", "due (UTC)", "study")
    print_table("Jobs", columns, rows, whole=("job", "kind", "state", "last code"))


@app.command()
def hold(job: JobArgument, by: ByOption, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Keep a job from running until it is released."""
    _operate(config, lambda queue: queue.hold(job, actor=f"operator:{by}"))
    print(f"job {job} is held")


@app.command()
def release(job: JobArgument, by: ByOption, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Put a held or dead job back into the queue."""
    _operate(config, lambda queue: queue.release(job, actor=f"operator:{by}"))
    print(f"job {job} is queued")


def _operate(config: ConfigOption, act: Callable[[JobQueue], None]) -> None:
    settings = load_settings(config)
    with open_database(settings) as database:
        act(JobQueue(database, lease_seconds=settings.worker.lease_seconds, max_lease_expiries=settings.worker.max_lease_expiries))
