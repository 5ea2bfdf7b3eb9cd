"""A new instance's rows as plain statements: what intake writes most often, with as little work per object as there can be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

from sqlalchemy import Table, and_, bindparam, case, exists, insert, literal, select
from sqlalchemy.orm import Session

from gateway.dicom.uids import KEY_OBJECT_SELECTION
from gateway.domain.attributes import InstanceDescription, InstanceIdentity
from gateway.domain.job import OPEN, JobKind, JobState
from gateway.domain.outcome import InstanceState
from gateway.events import Event
from gateway.store.audit_log import entry, record_all
from gateway.store.tables import InstanceRow, JobRow, ReceiptRow, ResultRow

_instance = cast("Table", InstanceRow.__table__)
_job = cast("Table", JobRow.__table__)
_receipt = cast("Table", ReceiptRow.__table__)
_WAITS: Final = _job.c.state.in_((*OPEN, JobState.HELD))
_one: Final = select(literal(1).label("one")).subquery()
_SEEN: Final = select(
    exists().where(ResultRow.__table__.c.sop_instance_uid == bindparam("uid")).label("is_own_result"),
    _instance.c.id,
    _instance.c.file,
    _instance.c.size,
    _instance.c.state,
    _instance.c.purged_at.is_not(None).label("is_purged"),
    # asked of purged ones only: a job that cannot go on without the image
    case(
        (_instance.c.purged_at.is_not(None), exists().where(_job.c.study_instance_uid == _instance.c.study_instance_uid, _WAITS)),
        else_=False,
    ),
).select_from(
    _one.outerjoin(_instance, and_(_instance.c.sop_instance_uid == bindparam("uid"), _instance.c.dataset_digest == bindparam("digest")))
)
_INSERT_INSTANCE: Final = insert(_instance)
_INSERT_JOB: Final = insert(_job).returning(_job.c.id)
_INSERT_RECEIPT: Final = insert(_receipt)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedInstance:
    """An instance as received: its identity, what describes it, and the digest (SHA-256) of its data set without file meta."""

    identity: InstanceIdentity
    description: InstanceDescription
    transfer_syntax_uid: str
    dataset_digest: str
    size: int
    own_sign: str | None = None
    """What gives it away as a result of a gateway; its UID in `result` does so too."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the store knows of a data set. instance_id None: not this one, byte by byte; then the rest says nothing."""

    is_own_result: bool
    instance_id: str | None
    file: str
    size: int
    state: str
    is_purged: bool
    is_wanted: bool
    """Purged, and a job of its study waits for it."""


def look_up(session: Session, identity: InstanceIdentity, dataset_digest: str) -> Seen:
    row = session.execute(_SEEN, {"uid": identity.sop_instance_uid, "digest": dataset_digest}).one()
    return Seen(bool(row[0]), row[1], row[2] or "", row[3] or 0, row[4] or "", bool(row[5]), bool(row[6]))


def insert_instance(
    session: Session, received: ReceivedInstance, *, instance_id: str, file: str, association_id: str | None, actor: str, event: Event
) -> None:
    """Row, job and audit events of an instance that the store does not know. IntegrityError when another was first."""
    now = datetime.now(UTC)
    identity = received.identity
    session.execute(_INSERT_INSTANCE, _instance_values(received, instance_id, file, association_id, now))
    kind = first_job(identity.sop_class_uid)
    # no look for a waiting job first: nobody else has ever seen this id
    job_id = session.scalar(_INSERT_JOB, _job_values(kind, instance_id, identity.study_instance_uid, now))
    ids = {"instance_id": instance_id, "study_instance_uid": identity.study_instance_uid}
    record_all(
        session,
        entry(Event.JOB_QUEUED, actor=actor, study_instance_uid=identity.study_instance_uid, job_id=job_id, job_kind=kind),
        entry(event, actor=actor, sop_instance_uid=identity.sop_instance_uid, association_id=association_id, **ids),
    )


def insert_receipt(
    session: Session, received: ReceivedInstance, *, receipt_id: str, instance_id: str | None, association_id: str | None, reason: str
) -> None:
    """Of a C-STORE that is answered with success."""
    session.execute(
        _INSERT_RECEIPT,
        {
            "id": receipt_id,
            "association_id": association_id,
            "instance_id": instance_id,
            "sop_class_uid": received.identity.sop_class_uid,
            "sop_instance_uid": received.identity.sop_instance_uid,
            "transfer_syntax_uid": received.transfer_syntax_uid,
            "received_at": datetime.now(UTC),
            "dimse_status": 0x0000,
            "reason": reason,
        },
    )


def _instance_values(received: ReceivedInstance, instance_id: str, file: str, association_id: str | None, now: datetime) -> dict[str, Any]:
    identity, description = received.identity, received.description
    return {
        "id": instance_id,
        "sop_class_uid": identity.sop_class_uid,
        "sop_instance_uid": identity.sop_instance_uid,
        "series_instance_uid": identity.series_instance_uid,
        "study_instance_uid": identity.study_instance_uid,
        "accession_number": description.accession_number,
        "patient_id": description.patient_id,
        "issuer_of_patient_id": description.issuer_of_patient_id,
        "modality": description.modality,
        "manufacturer": description.manufacturer,
        "model": description.model,
        "station": description.station,
        "study_date": description.study_date,
        "transfer_syntax_uid": received.transfer_syntax_uid,
        "dataset_digest": received.dataset_digest,
        "size": received.size,
        "file": file,
        "first_association_id": association_id,
        "received_at": now,
        "state": InstanceState.STORED,
    }


def first_job(sop_class_uid: str) -> JobKind:
    """What is done first with whatever was received."""
    return JobKind.APPLY_CORRECTION if sop_class_uid == KEY_OBJECT_SELECTION else JobKind.ANALYZE_INSTANCE


def _job_values(kind: JobKind, instance_id: str, study_instance_uid: str, now: datetime) -> dict[str, Any]:
    return {
        "kind": kind,
        "subject": instance_id,
        "study_instance_uid": study_instance_uid,
        "state": JobState.QUEUED,
        "attempts": 0,
        "lease_expiries": 0,
        "fence": 0,
        "created_at": now,
        "next_at": now,
    }
