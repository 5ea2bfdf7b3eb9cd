"""Files from a folder, taken in by the same road as C-STORE: same checks, same commit, same receipts."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.app.preflight import check_file_systems, prepare_spool
from gateway.config import Settings
from gateway.dicom.foreign_files import WORDS, FileRefusedError, ForeignFile, read_foreign_file
from gateway.dicom.part10 import set_tolerant_reading
from gateway.domain.answered import OpenedAssociation
from gateway.domain.identifiers import owner_name
from gateway.receive.dimse_status import SUCCESS
from gateway.receive.disk_guard import DiskGuard
from gateway.receive.storage_scp import StorageScp, StoreRequest
from gateway.store.audit_log import AuditLog
from gateway.store.database import Database
from gateway.store.process_file import ProcessFile
from gateway.store.receipts import Receipts

_MEBIBYTE: Final = 1024 * 1024
_REFUSED: Final = "refused"
_SPOOL_REFUSES: Final = "spool_refuses"
_NO_SPACE: Final = "free space is below spool.reserve_mb, or the spool cannot be written"


@dataclass(frozen=True, slots=True)
class FileAnswer:
    """What became of a file. dimse_status: `refused` when it never came as far as a C-STORE. reason: a code; words: the same for people."""

    file: str
    dimse_status: str
    reason: str
    words: str

    @property
    def taken(self) -> bool:
        return self.dimse_status == f"{SUCCESS:04X}"


def ingest_files(settings: Settings, database: Database, files: Sequence[Path]) -> Generator[FileAnswer]:
    """One answer per file, in their order. Each file's own is durable before the next is read."""
    set_tolerant_reading()
    check_file_systems(settings)
    spool = prepare_spool(settings, database)
    actor, process = owner_name("ingest"), ProcessFile(spool.processes)
    receipts, guard = Receipts(database, actor, spool, process=process), DiskGuard(spool, settings.spool, AuditLog(database, actor))
    # a file's Implementation Class UID is that of who wrote the file, and our spool's files bear ours: it says nothing of the data set
    scp = StorageScp(receipts, spool)
    opened = OpenedAssociation(calling_ae_title="INGEST", called_ae_title=settings.receiver.ae_title, peer_address="local", way="ingest")
    ending = "aborted"
    try:
        receipts.open_association(opened)
        for file in files:
            yield _ingest(settings, scp, guard, file, opened.id)
        ending = "released"
    finally:
        receipts.end_association(opened.id, ending)
        process.close()


def _ingest(settings: Settings, scp: StorageScp, guard: DiskGuard, file: Path, association_id: str) -> FileAnswer:
    if not guard.accepts():
        return FileAnswer(str(file), _REFUSED, _SPOOL_REFUSES, _NO_SPACE)
    try:
        found = read_foreign_file(file, max_bytes=settings.receiver.max_message_mb * _MEBIBYTE)
    except FileRefusedError as error:
        return FileAnswer(str(file), _REFUSED, error.defect.value, WORDS[error.defect])
    answer = scp.answer(_request(found, association_id))
    return FileAnswer(str(file), f"{answer.status:04X}", answer.reason, answer.comment)


def _request(found: ForeignFile, association_id: str) -> StoreRequest:
    return StoreRequest(
        affected_sop_class_uid=found.sop_class_uid,
        affected_sop_instance_uid=found.sop_instance_uid,
        negotiated_sop_class_uid=found.sop_class_uid,
        transfer_syntax_uid=found.transfer_syntax_uid,
        content=found.content,
        association_id=association_id,
    )
