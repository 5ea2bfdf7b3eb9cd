"""`strnet-gateway status` and `explain`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from gateway.cli.audit import secured_by
from gateway.cli.cases import print_case
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, open_database, print_json, print_table
from gateway.config import load_settings
from gateway.domain.readiness import Hindrance, hindrances_of_all, seen_now
from gateway.domain.story import Explanation, InstanceStory, JobStory, ReceiptStory
from gateway.store.queries import Queries
from gateway.store.supervisors import Supervisors


def status(config: ConfigOption = DEFAULT_CONFIG, *, json: JsonOption = False) -> None:
    """How the gateway stands: readiness, the three ledgers, jobs, results, deliveries.

    Exit code 1 when it is not ready or a ledger does not close.
    """
    with open_database(load_settings(config)) as database:
        found, supervisors = Queries(database).status(), Supervisors(database).all()
    now = datetime.now(UTC)
    hindrances = hindrances_of_all(supervisors, now)
    if json:
        print_json(
            {
                "ready": not hindrances,
                "hindrances": hindrances,
                "supervisors": supervisors,
                **{field.name: getattr(found, field.name) for field in fields(found)},
            }
        )
    else:
        rows = [
            (ledger.name, ledger.total, "yes" if ledger.closed else f"NO: {ledger.unexplained}", _counts(ledger.counts))
            for ledger in found.ledgers
        ]
        running = [(one.host, ", ".join(one.roles), _said(seen_now(one, now)), one.config_hash[:12]) for one in supervisors]
        print_table("Ready: " + ("NO" if hindrances else "yes"), ("host", "roles", "what stands against it", "configuration"), running)
        if not supervisors:
            print("no supervisor runs: strnet-gateway serve")
        print_table("Ledgers", ("ledger", "entries", "closed", "of which"), rows)
        print_table("Queue", ("what", "counts"), [(n, _counts(c)) for n, c in _sections(found.jobs, found.results, found.deliveries)])
        if found.oldest_waiting_seconds is not None:
            print(f"oldest open job: {found.oldest_waiting_seconds} s")
        for alarm in found.alarms:
            print(f"ALARM {alarm.code} {alarm.subject}{f' ({alarm.reason})' if alarm.reason else ''}, since {alarm.raised_at:%F %T} UTC")
        stuck = sum(count for name, count in found.jobs.items() if name.split()[1] in ("dead", "held"))
        if stuck:
            print(f"{stuck} job(s) need a person: strnet-gateway jobs list")
        conflicts = sum(ledger.counts.get("conflict", 0) for ledger in found.ledgers)
        if conflicts:
            print(f"{conflicts} instance(s) in conflict need a person: strnet-gateway conflicts list")
    sys.exit(0 if not hindrances and all(ledger.closed for ledger in found.ledgers) else 1)


def _said(hindrances: Sequence[Hindrance]) -> str:
    return ", ".join(str(one) for one in hindrances) or "nothing"


def _sections(jobs: dict[str, int], results: dict[str, int], deliveries: dict[str, int]) -> list[tuple[str, dict[str, int]]]:
    return [("jobs", jobs), ("results", results), ("deliveries", deliveries)]


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.items()) or "none"


def explain(
    key: Annotated[str, typer.Argument(help="Accession number, or SOP, series or study instance UID.")],
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    json: JsonOption = False,
) -> None:
    """Why there is a result, or why there is none. Exit code 1 when nothing is known under the key."""
    with open_database(load_settings(config)) as database:
        found = Queries(database).explain(key)
    if json:
        print_json(found)
    else:
        _print(found)


def _print(found: Explanation) -> None:
    """Times are UTC."""
    for refusal in found.refusals:
        print(f"refused {_receipt(refusal)}")
    for instance in found.instances:
        _print_instance(instance)
    for job in found.study_jobs:
        print(_job(job))
    for result in found.results:
        print(f"result {result.kind}, revision {result.revision}: {result.release}{_WITHHELD.get(result.release, '')}")
        if result.retracted_at:
            print(f"  taken back on {result.retracted_at:%F %T} UTC: {result.rejection_reason}")
        if result.repeats_uid:
            print(f"  repeats {result.repeats_uid}")
        print(f"  {result.sop_instance_uid}")
        if result.purged_at:
            print(f"  {_purged(result.purged_at)}")
        for delivery in result.deliveries:
            status = f", status {delivery.last_status}" if delivery.last_status else ""
            print(
                f"  to {delivery.destination}: {delivery.state}, {delivery.attempts} attempt(s), {delivery.last_code or 'none yet'}{status}"
            )

    for case in found.cases:
        print_case(case)


def _print_instance(instance: InstanceStory) -> None:
    print(f"instance {instance.sop_instance_uid}\n  of study {instance.study_instance_uid}")
    print(f"  {instance.outcome or 'not decided yet'} ({instance.reason or 'waiting'}), route {instance.route or '-'}")
    if instance.purged_at:
        print(f"  {_purged(instance.purged_at)}")
    for receipt in instance.receipts:
        print(f"  received {_receipt(receipt)}")
    for knee in instance.knees:
        flags = f", flags: {', '.join(knee.quality_flags)}" if knee.quality_flags else ""
        side = f"knee {knee.position} ({knee.laterality}, {knee.laterality_source})"
        score = "" if knee.score is None else f", AI score {knee.score:.2f}, threshold {knee.threshold:.2f}"
        several = (
            f" (settings {knee.settings_hash[:8]}, {knee.judged_at:%F %T} UTC)"
            if len(instance.knees) > len({k.position for k in instance.knees})
            else ""
        )
        print(f"  {side}: {knee.decision}{score}{flags}{several}")
    for job in instance.jobs:
        print(f"  {_job(job)}")


def _purged(at: datetime) -> str:
    return f"file purged on {at:%F %T} UTC by [retention]; what was decided stands"


def _receipt(receipt: ReceiptStory) -> str:
    where = f" ({receipt.peer_address}, {secured_by(receipt)})" if receipt.way == "c_store" else ""
    sent = f"{receipt.received_at:%F %T} UTC from {receipt.calling_ae_title}{where}, syntax {receipt.transfer_syntax_uid}"
    return f"{sent}: {receipt.dimse_status} {receipt.reason}"


def _job(job: JobStory) -> str:
    due = f", due {job.next_at:%F %T} UTC" if job.next_at else ""
    return f"job {job.job_id} {job.kind}: {job.state}, failed attempts {job.attempts}, {job.last_code or '-'}{due}"


_WITHHELD: Final = {
    "withheld_shadow": " (the route's policy is shadow: kept here, never sent)",
    "withheld_silent": " (the route's policy is silent)",
    "withheld_not_flagged": " (the route's policy is positive_only and no knee is flagged)",
    "withheld_not_live": " (the bundle is not live, or was not when it assessed the study: strnet-gateway model list)",
    "withheld_not_assessed": " (results.report_not_assessed is off)",
    "withheld_repeat": " (the patient has been sent as much within results.repeat_days)",
    "withheld_recalled": " (the study was recalled: results release lets it go)",
    "withheld_ingested": " (taken from a file, and a destination is clinical: results release lets it go)",
    "withheld_late": " (the study is older than results.late_after_hours: results release lets it go)",
}
