"""Facts from the database, the spool and the PACS. The database is read through the gateway's tables, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from gateway.domain.job import OPEN
from gateway.domain.outcome import Release
from gateway.store.database import Database
from gateway.store.queries import Queries
from gateway.store.tables import AuditEventRow, DeliveryRow, InstanceRow, JobRow, ReceiptRow, ResultRow
from tests.peers.orthanc import Orthanc
from tests.peers.raw_scu import split
from tests.soak.facts import Built, Chain, ChainKind, Facts, FileState, Held, Kept, Told

_EVIDENCE: Final = "CurrentRequestedProcedureEvidenceSequence"
_IMAGE_CLASSES: Final = ("1.2.840.10008.5.1.4.1.1.1.1",)


def open_jobs(database: Database) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(JobRow).where(JobRow.state.in_(OPEN))) or 0


def collect(database: Database, spool: Path, pacs: Orthanc, told: list[Told], ended_by_itself: list[int]) -> Facts:
    with database.reading() as session:
        kept, chains, built = tuple(_kept(session, spool)), tuple(_chains(session)), tuple(_built(session))
    return Facts(
        told=tuple(told),
        kept=kept,
        chains=chains,
        built=built,
        held=tuple(_held(pacs)),
        unclosed=tuple(ledger.name for ledger in Queries(database).status().ledgers if not ledger.closed),
        ended_by_itself=tuple(ended_by_itself),
    )


def _kept(session: Session, spool: Path) -> Iterator[Kept]:
    receipts: Counter[str | None] = Counter(session.scalars(select(ReceiptRow.instance_id).where(ReceiptRow.dimse_status == 0)))
    for row in session.scalars(select(InstanceRow)):
        yield Kept(row.sop_instance_uid, row.dataset_digest, _file_state(spool / row.file, row.dataset_digest), receipts[row.id])


def _file_state(path: Path, digest: str) -> FileState:
    if not path.exists():
        return "absent"
    try:
        return "whole" if hashlib.sha256(split(path)[3]).hexdigest() == digest else "other bytes"
    except Exception:  # whatever pydicom makes of a torn file
        return "other bytes"


def _chains(session: Session) -> Iterator[Chain]:
    events: dict[tuple[ChainKind, str], list[tuple[str, str]]] = defaultdict(list)
    for row in session.scalars(select(AuditEventRow).order_by(AuditEventRow.seq)):
        name = _subject(row)
        if name is not None:
            events[name].append((row.event, str(row.detail.get("code", ""))))
    for job in session.scalars(select(JobRow)):
        yield Chain("job", f"job {job.id} {job.kind}", tuple(events.pop(("job", str(job.id)), ())), job.state)
    for instance in session.scalars(select(InstanceRow)):
        yield Chain("instance", f"instance {instance.id}", tuple(events.pop(("instance", instance.id), ())), instance.state)
    for delivery in session.scalars(select(DeliveryRow)):
        yield Chain("delivery", f"delivery {delivery.id}", tuple(events.pop(("delivery", delivery.id), ())), delivery.state)
    for (kind, identifier), left in events.items():
        yield Chain(kind, f"{kind} {identifier}", tuple(left), "without a row")


def _subject(row: AuditEventRow) -> tuple[ChainKind, str] | None:
    """Whose transition it is; None when it is nobody's."""
    subject = row.event.partition(":")[0]
    if subject == "job" and "job_id" in row.detail:
        return "job", str(row.detail["job_id"])
    if subject == "instance" and row.instance_id is not None:
        return "instance", row.instance_id
    if subject == "delivery":
        return "delivery", str(row.detail["delivery_id"])
    return None


def _built(session: Session) -> Iterator[Built]:
    for row in session.scalars(select(ResultRow).where(ResultRow.release == Release.SENT)):
        yield Built(row.sop_instance_uid, row.study_instance_uid, row.kind, row.assessment_set)


def _held(pacs: Orthanc) -> Iterator[Held]:
    for identifier in pacs.get("/instances"):
        tags = pacs.get(f"/instances/{identifier}/simplified-tags")
        yield Held(tags["SOPInstanceUID"], tags["StudyInstanceUID"], tags["Modality"], frozenset(_images(tags)))


def _images(tags: dict[str, Any]) -> Iterator[str]:
    """The radiographs among a report's evidence; its own pages stand there too."""
    for study in tags.get(_EVIDENCE) or ():
        for series in study["ReferencedSeriesSequence"]:
            for reference in series["ReferencedSOPSequence"]:
                if reference["ReferencedSOPClassUID"] in _IMAGE_CLASSES:
                    yield reference["ReferencedSOPInstanceUID"]
