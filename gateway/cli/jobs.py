"""`strnet-gateway jobs`."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.deliveries import told_attempt
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, open_database, operator_of, print_json, print_table, short
from gateway.config import load_settings
from gateway.domain.job import JobAction, JobState
from gateway.domain.story import JobExplanation
from gateway.store.job_acts import JobActs
from gateway.store.job_stories import explain_job
from gateway.store.queries import Queries

app = typer.Typer(no_args_is_help=True, help="The queue: list, explain, retry, hold, release, cancel.")

JobArgument = Annotated[int, typer.Argument(help="Job number.")]
ByOption = Annotated[str, typer.Option("--by", help="Who does this, one word; recorded in the audit store.")]
ReasonOption = Annotated[
    str, typer.Option("--reason", help="Why: one word or a ticket number, no patient data; recorded in the audit store for good.")
]


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
def explain(job: JobArgument, config: ConfigOption = DEFAULT_CONFIG, *, json: JsonOption = False) -> None:
    """What a job is, what happened to it, and what can be done with it."""
    with open_database(load_settings(config)) as database:
        found = explain_job(database, job)
    if json:
        print_json(found)
        return
    _print(found)


@app.command()
def retry(job: JobArgument, by: ByOption, reason: ReasonOption, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Try a dead or waiting job again now."""
    _act(config, job, JobAction.RETRY, by, reason)


@app.command()
def hold(job: JobArgument, by: ByOption, reason: ReasonOption, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Keep a job from running until it is released."""
    _act(config, job, JobAction.HOLD, by, reason)


@app.command()
def release(job: JobArgument, by: ByOption, reason: ReasonOption, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Put a held or dead job back into the queue."""
    _act(config, job, JobAction.RELEASE, by, reason)


@app.command()
def cancel(job: JobArgument, by: ByOption, reason: ReasonOption, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Give up a delivery for good. Analyses and reports cannot be cancelled: what was received gets an outcome."""
    _act(config, job, JobAction.CANCEL, by, reason)


def _act(config: ConfigOption, job: int, action: JobAction, by: str, reason: str) -> None:
    operator = operator_of(by, reason)
    with open_database(load_settings(config)) as database:
        JobActs(database).act(job, action, operator)
        print(f"job {job} is {explain_job(database, job).job.state}")


def _print(found: JobExplanation) -> None:
    job = found.job
    print(f"job {job.job_id} {job.kind}: {job.state}, {job.last_code or '-'}")
    print(f"  failed attempts {job.attempts}, lost leases {job.lease_expiries}")
    print(f"  of study {job.study_instance_uid}, subject {job.subject}")
    if job.next_at is not None:
        print(f"  due {job.next_at:%F %T} UTC")
    if job.lease_owner is not None:
        print(f"  in the hands of {job.lease_owner} until {job.lease_until:%F %T} UTC unless renewed")
    print(f"  can be done: {', '.join(f'jobs {action}' for action in found.actions) or 'nothing'}")
    for attempt in found.tried:
        print(f"  {told_attempt(attempt)}")
    for event in found.events:
        said = " ".join(f"{key}={event.detail[key]}" for key in ("code", "reason", "attempts") if key in event.detail)
        print(f"  {event.at:%F %T} UTC {event.actor}: {event.event} {said}".rstrip())
