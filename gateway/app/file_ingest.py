"""Files from a folder, taken in by the same road as C-STORE: same checks, same commit, same receipts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.app.dry_run import MAX_FILE_BYTES
from gateway.app.preflight import prepare_spool
from gateway.config import Settings
from gateway.dicom.characters import text
from gateway.dicom.part10 import read_header, set_tolerant_reading, split_file
from gateway.dicom.uids import ACCEPTED_SOP_CLASSES, ACCEPTED_TRANSFER_SYNTAXES
from gateway.domain.identifiers import owner_name
from gateway.errors import UnreadableInstanceError
from gateway.receive.storage_scp import StorageScp, StoreRequest
from gateway.store.database import Database
from gateway.store.receipts import Receipts


@dataclass(frozen=True, slots=True)
class FileAnswer:
    """What a file was answered; dimse_status `refused` when it never came as far as a C-STORE."""

    file: str
    dimse_status: str
    reason: str


def ingest_files(settings: Settings, database: Database, files: Sequence[Path]) -> Iterator[FileAnswer]:
    set_tolerant_reading()
    spool = prepare_spool(settings, database)
    receipts = Receipts(database, owner_name("ingest"), spool)
    scp = StorageScp(receipts, spool)
    association_id = receipts.open_association(
        calling_ae_title="INGEST", called_ae_title=settings.receiver.ae_title, peer_address="local", way="ingest"
    )
    try:
        for file in files:
            yield _ingest(scp, file, association_id)
    finally:
        receipts.end_association(association_id, "released")


def _ingest(scp: StorageScp, file: Path, association_id: str) -> FileAnswer:
    try:
        transfer_syntax_uid, content = split_file(file, max_bytes=MAX_FILE_BYTES)
        meta = read_header(file).file_meta
    except UnreadableInstanceError as error:
        return FileAnswer(file.name, "refused", error.detail)
    sop_class_uid, sop_instance_uid = text(meta, "MediaStorageSOPClassUID"), text(meta, "MediaStorageSOPInstanceUID")
    if transfer_syntax_uid not in ACCEPTED_TRANSFER_SYNTAXES:
        return FileAnswer(file.name, "refused", "transfer syntax is not accepted")
    if sop_class_uid not in ACCEPTED_SOP_CLASSES:
        return FileAnswer(file.name, "refused", "SOP class is not accepted")
    answer = scp.answer(
        StoreRequest(
            affected_sop_class_uid=sop_class_uid,
            affected_sop_instance_uid=sop_instance_uid,
            negotiated_sop_class_uid=sop_class_uid,
            transfer_syntax_uid=transfer_syntax_uid,
            content=content,
            association_id=association_id,
        )
    )
    return FileAnswer(file.name, f"{answer.status:04X}", answer.reason)
