"""`strnet-gateway reconcile`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from gateway.cli.options import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    open_database,
    operator_of,
    print_json,
    print_table,
    progress_bar,
)
from gateway.config import DestinationSettings, Settings, load_settings
from gateway.domain.identifiers import owner_name
from gateway.domain.reconciliation import Period, Reconciled
from gateway.store.resending import Resending


def reconcile(
    destination: Annotated[str | None, typer.Argument(help="A [[destinations]] table's name; without it as [reconcile] says.")] = None,
    *,
    date: Annotated[
        datetime | None,
        typer.Option("--date", help="Only this study date; without it as [reconcile] says.", formats=["%Y-%m-%d", "%Y%m%d"]),
    ] = None,
    send_missing: Annotated[
        bool, typer.Option("--send-missing", help="Send results that are not there once more; needs --by, --reason.")
    ] = False,
    by: Annotated[str, typer.Option("--by", help="Who has them sent again, one word; recorded in the audit store.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why: one word or a ticket number, no patient data; recorded likewise.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Compare what a PACS holds with what is known here: knee images never received, results sent and not there.

    Asks by C-FIND and changes nothing but by --send-missing. Exit code 1 when anything is missing, or a PACS could not be asked.
    """
    from gateway.app.reconciling import query_scu, reconciliation_of

    operator = operator_of(by, reason) if send_missing else None
    settings = load_settings(config)
    period = Period(first=date.date(), last=date.date()) if date else _last_days(settings)
    found: list[Reconciled] = []
    with open_database(settings) as database:
        for one in _chosen(settings, destination):
            comparison = reconciliation_of(settings, database, one.name, actor=owner_name("reconcile"))
            print(f"asking {one.name} about {period.first} to {period.last}", file=sys.stderr, flush=True)
            with progress_bar("asked") as bar:
                found.append(comparison.run(query_scu(settings, one), period, lambda count, bar=bar: bar.update(count - bar.pos)))  # type: ignore[misc]
        missing = [result.delivery_id for one_found in found for result in one_found.not_found] if operator else []
        sent_again = sum(Resending(database).send_again(delivery, operator) for delivery in missing) if operator else 0
    if json:
        print_json(found)
    else:
        for one_found in found:
            _print(one_found)
    if operator:
        print(f"{sent_again} of {len(missing)} result(s) will be sent again", file=sys.stderr)
    sys.exit(0 if found and all(one.is_good for one in found) else 1)


def _last_days(settings: Settings) -> Period:
    from gateway.ops.nightly import period_until

    return period_until(datetime.now(UTC), days=settings.reconcile.days, timezone=settings.results.timezone)


def _chosen(settings: Settings, name: str | None) -> tuple[DestinationSettings, ...]:
    from gateway.app.reconciling import reconciled_destinations

    if name is None:
        return reconciled_destinations(settings)
    found = settings.destination(name)
    if found is None:
        raise typer.BadParameter(f"no [[destinations]] table is called {name!r}")
    if found.protocol != "dimse":
        raise typer.BadParameter(f"{name} is spoken to by STOW-RS, and only C-FIND is asked: docs/reconciliation.md")
    return (found,)


def _print(found: Reconciled) -> None:
    rows = [("seen there, not received here", one.study_instance_uid, "\n".join(one.sop_instance_uids)) for one in found.not_received]
    rows += [("sent, not found there", one.study_instance_uid, one.sop_instance_uid) for one in found.not_found]
    if rows:
        print_table(f"Missing, {found.destination}", ("what", "study", "SOP instance"), rows)
    least = "" if found.complete else "at least "
    print(
        f"{found.destination}: {least}{found.studies} studies of plain radiographs with {found.knee_series} knee series looked at,"
        f" {sum(len(one.sop_instance_uids) for one in found.not_received)} image(s) not received;"
        f" {found.results} result(s) asked for, {len(found.not_found)} not found"
    )
    if found.code is not None:
        print(f"{found.destination}: could not be asked to the end: {found.code}; strnet-gateway check {found.destination} says why")
    elif not found.complete:
        print(f"{found.destination}: a limit ended it; ask for single days with --date")
