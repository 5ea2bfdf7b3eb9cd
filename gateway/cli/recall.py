"""`strnet-gateway recall`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from gateway.app.recall import RecallPlan, plan_recall
from gateway.app.recall import recall as recalled
from gateway.cli.options import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    open_database,
    operator_of,
    print_json,
    print_table,
    short,
    watched,
)
from gateway.config import Settings, load_settings
from gateway.domain.delivery import DeliveryState
from gateway.domain.recall import Effect, RecalledReport, RecallScope, RecallTarget
from gateway.domain.retraction import RejectionReason


def recall(
    bundle: Annotated[str, typer.Option(help="Every report that was made by this bundle: its hash, or eight or more of its first.")] = "",
    study: Annotated[str, typer.Option(help="Every report of this study instance UID.")] = "",
    patient: Annotated[str, typer.Option(help="Every report of this patient id; never logged.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    issuer: Annotated[str | None, typer.Option(help="Of the patient id; needed where several issuers have given it.")] = None,
    reason: Annotated[RejectionReason, typer.Option("--reason", help="What archives are told; docs/recall.md has the codes.")],
    by: Annotated[str, typer.Option("--by", help="Who does this, one word; recorded in the audit store.")],
    ticket: Annotated[str, typer.Option(help="One word or ticket number, no patient data; recorded for good.")] = "recall",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be taken back, and where.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: JsonOption = False,
) -> None:
    """Take reports back: pending ones are cancelled, sent ones rejected by a note to each archive that has them, nothing new is sent by
    itself. Exit code 1 when an archive has refused a note, or nothing is known under the key."""
    target, operator = _target(bundle, study, patient, issuer), operator_of(by, ticket)
    settings = load_settings(config)
    with open_database(settings) as database:
        plan = plan_recall(database, target, _watched)
        if dry_run:
            _show(plan, settings, json=json)
            sys.exit(_exit_code(plan))
        if not yes:
            _show(plan, settings, json=False)
            typer.confirm(f"take back {plan.to_do} report(s)?", abort=True, err=True)
        done = recalled(database, plan, reason, operator, _watched)
        after = plan_recall(database, target, _watched)
    if json:
        print_json({"done": done, "reports": _told(after, settings)})
    else:
        print(f"{done.taken_back} taken back, {done.already} already: {done.cancelled} deliveries cancelled, {done.notes_due} note(s) due")
        _print_notes(after.reports)
    sys.exit(_exit_code(after))


def _watched(reports: Sequence[str]) -> Iterator[str]:
    return watched(reports, "reports", len(reports))


def _target(bundle: str, study: str, patient: str, issuer: str | None) -> RecallTarget:
    given = [
        (scope, key) for scope, key in ((RecallScope.BUNDLE, bundle), (RecallScope.STUDY, study), (RecallScope.PATIENT, patient)) if key
    ]
    if len(given) != 1:
        raise typer.BadParameter("give one of --bundle, --study and --patient")
    scope, key = given[0]
    if issuer is not None and scope is not RecallScope.PATIENT:
        raise typer.BadParameter("--issuer belongs to --patient")
    return RecallTarget(scope=scope, key=key, issuer=issuer)


def _exit_code(plan: RecallPlan) -> int:
    return 1 if any(_refused(report) for report in plan.reports) else 0


def _refused(report: RecalledReport) -> list[str]:
    """Destinations that will not take the note."""
    return [one.destination for one in report.destinations if one.note is not None and one.note[0] == DeliveryState.DEAD]


def _honours(settings: Settings, destination: str) -> str:
    known = settings.destination(destination)
    return "not configured" if known is None else known.honours_rejection


def _told(plan: RecallPlan, settings: Settings) -> list[dict[str, object]]:
    """For JSON: each report with each destination's part. A patient id is not among it."""
    return [
        {
            "study_instance_uid": report.study_instance_uid,
            "revision": report.revision,
            "sop_instance_uid": report.sop_instance_uid,
            "release": report.release,
            "already": report.already,
            "destinations": [
                {
                    "destination": one.destination,
                    "deliveries": list(one.states),
                    "effect": one.effect.value,
                    "honours_rejection": _honours(settings, one.destination),
                    "note": None if one.note is None else one.note[0],
                    "note_code": None if one.note is None else one.note[1],
                }
                for one in report.destinations
            ],
        }
        for report in plan.reports
    ]


def _show(plan: RecallPlan, settings: Settings, *, json: bool) -> None:
    if json:
        print_json({"to_do": plan.to_do, "already": len(plan.reports) - plan.to_do, "reports": _told(plan, settings)})
        return
    rows = [row for report in plan.reports for row in _rows(report, settings)]
    columns = ("study", "revision", "release", "destination", "deliveries", "would be", "honours rejection", "note")
    print_table("Reports", columns, rows, whole=("destination",))
    closing = "the bundle is retired" if plan.target.scope is RecallScope.BUNDLE else f"{len(plan.studies)} study(ies) send nothing new"
    print(f"{plan.to_do} to do, {len(plan.reports) - plan.to_do} already; with the recall {closing}")
    _print_notes(plan.reports)


def _rows(report: RecalledReport, settings: Settings) -> list[tuple[object, ...]]:
    head = (short(report.study_instance_uid), report.revision, report.release)
    if not report.destinations:
        return [(*head, "-", "never sent", "already taken back" if report.already else "taken back", "", "")]
    return [
        (
            *head,
            one.destination,
            ", ".join(one.states),
            "already done" if report.already else _WOULD_BE[one.effect],
            _honours(settings, one.destination),
            "-" if one.note is None else f"{one.note[0]} {one.note[1] or ''}".strip(),
        )
        for one in report.destinations
    ]


_WOULD_BE = {Effect.CANCEL: "cancelled", Effect.REJECT: "rejected by a note", Effect.NOTHING: "nothing to do"}


def _print_notes(reports: Sequence[RecalledReport]) -> None:
    for report in reports:
        for destination in _refused(report):
            print(
                f"ALARM: {destination} refused the rejection note of {report.study_instance_uid}, revision {report.revision}: "
                "the results must be removed there by hand (docs/recall.md)"
            )
