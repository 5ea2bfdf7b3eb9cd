"""`strnet-gateway audit`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from gateway.cli import recheck
from gateway.cli.cases import cases
from gateway.cli.deliveries import deliveries
from gateway.cli.export import export
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, open_database, print_json, print_table, short
from gateway.config import load_settings
from gateway.domain.story import ReceiptStory
from gateway.store.evidence import Evidence
from gateway.store.queries import Queries

_OWN_IDS: Final = ("instance_id", "association_id", "result_id", "delivery_id")
"""Left out of the table; `--json` has them."""

SinceOption = Annotated[
    datetime | None,
    typer.Option(help="Only from this time on, UTC.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]),
]
LimitOption = Annotated[int, typer.Option(help="At most so many, the last ones.", min=1)]
_DIGEST = 12

app = typer.Typer(no_args_is_help=True, help="Questions to the audit store.")
app.command("rebuild")(recheck.rebuild)
app.command("recompute")(recheck.recompute)
app.command("deliveries")(deliveries)
app.command("cases")(cases)
app.command("export")(export)


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
        print(f"{entry.seq:>6} {entry.at:%F %T} {entry.event:<24} {detail}{_by(entry.actor)}".rstrip())


@app.command()
def received(
    key: Annotated[str | None, typer.Argument(help="Accession number, UID or one of our ids; without it everything.")] = None,
    *,
    sender: Annotated[str | None, typer.Option("--from", help="Only this calling AE title.")] = None,
    since: SinceOption = None,
    limit: LimitOption = 200,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Who sent what, when, from where, in which syntax, and what was answered. Exit code 1 when nothing is known under the key."""
    with open_database(load_settings(config)) as database:
        found = Evidence(database).received(key=key, calling_ae_title=sender, since=_utc(since), limit=limit)
    if json:
        print_json(found)
    else:
        columns = ("received (UTC)", "from", "by", "instance", "syntax", "answer", "reason", "outcome")
        rows = [
            (
                r.received_at,
                sender_of(r),
                secured_by(r),
                short(r.sop_instance_uid),
                r.transfer_syntax_uid,
                r.dimse_status,
                r.reason,
                r.outcome,
            )
            for r in found
        ]
        print_table("Received", columns, rows, whole=("answer",))
    if key is not None and not found:
        raise typer.Exit(1)


@app.command()
def rejected(
    *, since: SinceOption = None, limit: LimitOption = 200, config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False
) -> None:
    """Refused associations and TLS handshakes, connections that were closed for what their peer did, and why."""
    with open_database(load_settings(config)) as database:
        found = Evidence(database).rejected(since=_utc(since), limit=limit)
    if json:
        print_json(found)
        return
    columns = ("refused (UTC)", "address", "calling", "called", "reason", "certificate", "alert", "count")
    rows = [
        (
            r.at,
            r.peer_address,
            r.calling_ae_title,
            r.called_ae_title,
            r.reason,
            (r.certificate_sha256 or "")[:_DIGEST],
            r.audit_code,
            r.count,
        )
        for r in found
    ]
    print_table("Rejected", columns, rows, whole=("reason",))


def _by(actor: str) -> str:
    """The person, where it was one; `--json` also has which process."""
    kind, _, name = actor.partition(":")
    return f" by={name}" if kind == "operator" else ""


def sender_of(receipt: ReceiptStory) -> str:
    """AE title and address of who sent; the way where it was not an association."""
    return f"{receipt.calling_ae_title} {receipt.peer_address}" if receipt.way == "c_store" else receipt.way


def secured_by(receipt: ReceiptStory) -> str:
    """TLS version and the certificate's first digits, or `plain`."""
    return f"{receipt.tls_version} {(receipt.certificate_sha256 or '')[:_DIGEST]}".strip() if receipt.tls_version else "plain"


def _utc(since: datetime | None) -> datetime | None:
    return since.replace(tzinfo=UTC) if since is not None else None
