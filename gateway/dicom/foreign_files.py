"""Files that somebody hands over (a folder, a patient's CD): the data set as a peer would send it, or why it is not one."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, MediaStorageDirectoryStorage

from gateway.dicom.characters import READ_ERRORS, text
from gateway.dicom.uids import ACCEPTED_SOP_CLASSES, accepted_syntaxes
from gateway.errors import UnreadableInstanceError

_HEAD: Final = 132
_TAR_MARK: Final = slice(257, 262)
_META_GROUP: Final = 0x0002
_ARCHIVES: Final = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
"""zip, empty zip, gzip, 7z, rar, bzip2, xz, zstandard."""


class FileDefect(StrEnum):
    """Why a file is not taken in."""

    NOT_A_FILE = "not_a_file"
    FILE_UNREADABLE = "file_unreadable"
    TOO_LONG = "too_long"
    ARCHIVE = "archive"
    DICOMDIR = "dicomdir"
    NO_PREAMBLE = "no_preamble"
    META_DAMAGED = "meta_damaged"
    DEFLATE_DAMAGED = "deflate_damaged"
    SYNTAX_NOT_ACCEPTED = "syntax_not_accepted"
    CLASS_NOT_ACCEPTED = "class_not_accepted"


WORDS: Final = {
    FileDefect.NOT_A_FILE: "not a regular file",
    FileDefect.FILE_UNREADABLE: "the file cannot be read",
    FileDefect.TOO_LONG: "longer than receiver.max_message_mb, as it is or inflated",
    FileDefect.ARCHIVE: "an archive: unpack it first",
    FileDefect.DICOMDIR: "a DICOMDIR only lists files: give the folder they are in; what it names is not followed",
    FileDefect.NO_PREAMBLE: "no DICOM file: no preamble",
    FileDefect.META_DAMAGED: "file meta information is damaged or incomplete",
    FileDefect.DEFLATE_DAMAGED: "the deflated data set is damaged",
    FileDefect.SYNTAX_NOT_ACCEPTED: "transfer syntax is not accepted",
    FileDefect.CLASS_NOT_ACCEPTED: "SOP class is not accepted",
}


class FileRefusedError(UnreadableInstanceError):
    """The file is not one that can be taken in. Its code says why; docs/configuration.md has the limits."""

    def __init__(self, defect: FileDefect) -> None:
        super().__init__(WORDS[defect])
        self.defect = defect


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignFile:
    """What a C-STORE of the file would say. content: the encoded data set, in transfer_syntax_uid."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    content: BytesIO


def read_foreign_file(path: Path, *, max_bytes: int) -> ForeignFile:
    """FileRefusedError for anything else than a DICOM file of an accepted class and syntax.

    A deflated data set is inflated, up to max_bytes. Nothing that the file refers to is opened, and its preamble is not looked at.
    """
    if not path.is_file():
        raise FileRefusedError(FileDefect.NOT_A_FILE)
    try:
        with path.open("rb") as file:
            if path.stat().st_size > max_bytes:
                raise FileRefusedError(FileDefect.TOO_LONG)
            return _read(file, max_bytes)
    except OSError as error:
        raise FileRefusedError(FileDefect.FILE_UNREADABLE) from error


def _read(file: BinaryIO, max_bytes: int) -> ForeignFile:
    head = file.read(_TAR_MARK.stop)
    if head[_HEAD - 4 : _HEAD] != b"DICM":
        is_archive = head.startswith(_ARCHIVES) or head[_TAR_MARK] == b"ustar"
        raise FileRefusedError(FileDefect.ARCHIVE if is_archive else FileDefect.NO_PREAMBLE)
    file.seek(_HEAD)
    try:
        # by group, not by its length element: files without that element exist
        meta = read_dataset(file, is_implicit_VR=False, is_little_endian=True, stop_when=_is_past_meta)
        sop_class_uid, sop_instance_uid = text(meta, "MediaStorageSOPClassUID"), text(meta, "MediaStorageSOPInstanceUID")
        syntax = text(meta, "TransferSyntaxUID")
    except READ_ERRORS as error:
        raise FileRefusedError(FileDefect.META_DAMAGED) from error
    if not (sop_class_uid and sop_instance_uid and syntax):
        raise FileRefusedError(FileDefect.META_DAMAGED)
    if sop_class_uid == MediaStorageDirectoryStorage:
        raise FileRefusedError(FileDefect.DICOMDIR)
    content = file.read()
    if syntax == DeflatedExplicitVRLittleEndian:
        content, syntax = _inflated(content, max_bytes), str(ExplicitVRLittleEndian)
    if syntax not in accepted_syntaxes(sop_class_uid):
        raise FileRefusedError(FileDefect.SYNTAX_NOT_ACCEPTED)
    if sop_class_uid not in ACCEPTED_SOP_CLASSES:
        raise FileRefusedError(FileDefect.CLASS_NOT_ACCEPTED)
    return ForeignFile(sop_class_uid=sop_class_uid, sop_instance_uid=sop_instance_uid, transfer_syntax_uid=syntax, content=BytesIO(content))


def _inflated(content: bytes, max_bytes: int) -> bytes:
    """PS3.5 A.5: a raw deflate stream (RFC 1951). Never makes more than max_bytes and one."""
    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = decoder.decompress(content, max_bytes + 1)
    except zlib.error as error:
        raise FileRefusedError(FileDefect.DEFLATE_DAMAGED) from error
    if len(inflated) > max_bytes:
        raise FileRefusedError(FileDefect.TOO_LONG)
    if not decoder.eof:
        raise FileRefusedError(FileDefect.DEFLATE_DAMAGED)
    return inflated


def _is_past_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return int(tag) >> 16 != _META_GROUP
