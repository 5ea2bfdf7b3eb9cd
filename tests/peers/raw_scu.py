"""An SCU that sends a data set's bytes unread, and commands that a well-behaved one would not send."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom.filereader import read_dataset
from pynetdicom import AE, build_context
from pynetdicom.dimse_primitives import C_STORE


@contextmanager
def association(port: int, contexts: list[tuple[str, str]], *, called: str = "STRNET", calling: str = "RAWSCU") -> Iterator[Any]:
    """An open association that proposes (SOP class UID, transfer syntax UID) pairs."""
    ae = AE(ae_title=calling)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 30
    assoc = ae.associate("127.0.0.1", port, contexts=[build_context(*pair) for pair in contexts], ae_title=called)
    try:
        yield assoc
    finally:
        if assoc.is_established:
            assoc.release()


def send_bytes(assoc: Any, content: bytes, *, sop_class_uid: str, sop_instance_uid: str, context: int = 0) -> tuple[int | None, str]:
    """Sends an encoded data set as it is; (status, error comment), status None without an answer."""
    accepted = assoc.accepted_contexts[context]
    request = C_STORE()
    request.MessageID = 1
    request.AffectedSOPClassUID = sop_class_uid
    request.AffectedSOPInstanceUID = sop_instance_uid
    request.Priority = 2
    request.DataSet = BytesIO(content)
    assoc._reactor_checkpoint.clear()
    try:
        assoc.dimse.send_msg(request, accepted.context_id)
        _, response = assoc.dimse.get_msg(block=True)
    finally:
        assoc._reactor_checkpoint.set()
    if response is None:
        return None, ""
    return int(response.Status), str(response.ErrorComment or "")


def split(path: Path) -> tuple[str, str, str, bytes]:
    """(SOP class UID, SOP instance UID, transfer syntax UID, encoded data set) of a DICOM file, its data set unread."""
    with path.open("rb") as file:
        file.seek(132)
        meta = read_dataset(file, False, True, stop_when=lambda tag, _vr, _length: tag.group != 2)
        content = file.read()
    return str(meta.MediaStorageSOPClassUID), str(meta.MediaStorageSOPInstanceUID), str(meta.TransferSyntaxUID), content


def send_file(port: int, path: Path, *, called: str = "STRNET") -> tuple[int | None, str]:
    """Sends a file's bytes unread; status None when the peer accepted no context for it."""
    sop_class, sop_instance, syntax, content = split(path)
    with association(port, [(sop_class, syntax)], called=called) as assoc:
        if not assoc.is_established or not assoc.accepted_contexts:
            return None, "no context"
        return send_bytes(assoc, content, sop_class_uid=sop_class, sop_instance_uid=sop_instance)


def encoded(path: Path) -> bytes:
    return split(path)[3]


__all__ = ["association", "encoded", "send_bytes", "send_file", "split"]
