"""`strnet-gateway audit deliveries`."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, open_database, print_json, print_table, short
from gateway.config import load_settings
from gateway.domain.delivery import DeliveryState
from gateway.domain.story import AttemptStory, DeliveredStory
from gateway.store.delivery_stories import list_deliveries
from gateway.store.queries import Queries


def deliveries(
    key: Annotated[str | None, typer.Argument(help="Accession number, UID or one of our ids; without it everything.")] = None,
    *,
    state: Annotated[DeliveryState | None, typer.Option(help="Only this state.")] = None,
    destination: Annotated[str | None, typer.Option("--to", help="Only to this destination.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, the last ones.", min=1)] = 200,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """What was sent, where, and what the destination answered at every attempt. Exit code 1 when a listed delivery is dead."""
    with open_database(load_settings(config)) as database:
        studies = None if key is None else Queries(database).studies(key)
        found = list_deliveries(database, studies=studies, state=state, destination=destination, limit=limit)
    if json:
        print_json(found)
    else:
        columns = ("study", "result", "to", "state", "job", "attempts (UTC)")
        print_table("Deliveries", columns, [_row(one) for one in found], whole=("state", "job"))
    if any(one.delivery.state == DeliveryState.DEAD for one in found):
        raise typer.Exit(1)


def _row(one: DeliveredStory) -> tuple[object, ...]:
    told = "\n".join(told_attempt(attempt) for attempt in one.delivery.tried)
    return short(one.study_instance_uid), f"{one.kind} {one.revision}", one.delivery.destination, one.delivery.state, one.job_id, told


def told_attempt(attempt: AttemptStory) -> str:
    """One line."""
    parts = [f"{attempt.started_at:%F %T}", attempt.kind, attempt.dimse_status or "-", attempt.code or "no answer known"]
    if attempt.reported_at is not None:
        parts.append(f"reported {attempt.reported_at:%F %T} {attempt.failure_reason or 'committed'}")
    return " ".join(parts)
