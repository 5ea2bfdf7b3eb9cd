"""`strnet-gateway status` and `explain`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gateway.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, open_database, print_json, print_table
from gateway.config import load_settings
from gateway.domain.story import Explanation
from gateway.store.queries import Queries


def status(config: ConfigOption = DEFAULT_CONFIG, *, json: JsonOption = False) -> None:
    """How the gateway stands: the three ledgers, jobs, results, deliveries. Exit code 1 when a ledger does not close."""
    with open_database(load_settings(config)) as database:
        found = Queries(database).status()
    if json:
        print_json(found)
    else:
        rows = [
            (ledger.name, ledger.total, "yes" if ledger.closed else f"NO: {ledger.unexplained}", _counts(ledger.counts))
            for ledger in found.ledgers
        ]
        print_table("Ledgers", ("ledger", "entries", "closed", "of which"), rows)
        print_table("Queue", ("what", "counts"), [(n, _counts(c)) for n, c in _sections(found.jobs, found.results, found.deliveries)])
        if found.oldest_waiting_seconds is not None:
            print(f"oldest open job: {found.oldest_waiting_seconds} s")
    sys.exit(0 if all(ledger.closed for ledger in found.ledgers) else 1)


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
    for refusal in found.refusals:
        print(f"refused with {refusal.dimse_status}: {refusal.reason} (from {refusal.calling_ae_title}, {refusal.received_at:%F %T})")
    for instance in found.instances:
        print(f"instance {instance.sop_instance_uid} of study {instance.study_instance_uid}")
        print(f"  {instance.state}: {instance.outcome or 'open'} ({instance.reason or 'waiting'}), route {instance.route or '-'}")
        for receipt in instance.receipts:
            print(f"  received {receipt.received_at:%F %T} from {receipt.calling_ae_title}: {receipt.dimse_status} {receipt.reason}")
        for knee in instance.knees:
            flags = f", flags: {', '.join(knee.quality_flags)}" if knee.quality_flags else ""
            threshold = 100 * knee.threshold
            print(
                f"  knee {knee.position} ({knee.laterality}): {knee.decision}, AI score {knee.score:.2f}, threshold {threshold:.2f}{flags}"
            )
        for job in instance.jobs:
            print(f"  job {job.job_id} {job.kind}: {job.state}, failed attempts {job.attempts}, {job.last_code or '-'}")
    for job in found.study_jobs:
        print(f"job {job.job_id} {job.kind}: {job.state}, {job.last_code or '-'}")
    rows = [
        (
            r.kind,
            r.revision,
            r.release,
            "; ".join(f"{d.destination}: {d.state} {d.last_status or ''}" for d in r.deliveries),
            r.sop_instance_uid,
        )
        for r in found.results
    ]
    if rows:
        print_table("Results", ("kind", "revision", "release", "deliveries", "SOP instance UID"), rows)
