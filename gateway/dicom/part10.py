"""Data sets as bytes: what a received one is, whether it is whole, and how it is kept as a DICOM file (PS3.10 7)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from pydicom import config as pydicom_config
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID, ImplicitVRLittleEndian

from gateway.dicom.characters import READ_ERRORS, text
from gateway.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, KEY_OBJECT_SELECTION, is_legal
from gateway.domain.attributes import InstanceIdentity
from gateway.errors import UnreadableInstanceError

_PIXEL_DATA: Final = 0x7FE00010
_BEFORE_META: Final = 132
"""Bytes before the file meta information, DICM included."""
_ITEM: Final = b"\xfe\xff\x00\xe0"
_SEQUENCE_DELIMITER: Final = b"\xfe\xff\xdd\xe0"
_META_GROUP: Final = 0x0002
_ITEM_HEAD: Final = 8
_UNDEFINED: Final = 0xFFFFFFFF
_MAX_DEPTH: Final = 64


class Defect(StrEnum):
    """Why a received data set cannot be kept."""

    UNREADABLE = "unreadable"
    UID_MISSING = "uid_missing"
    UID_ILLEGAL = "uid_illegal"
    PIXEL_DATA_MISSING = "pixel_data_missing"
    PIXEL_DATA_TRUNCATED = "pixel_data_truncated"
    PIXEL_DESCRIPTION = "pixel_description"


class DefectiveDatasetError(UnreadableInstanceError):
    """The data set is damaged and was not kept. Send it again from its source; if it fails again, the source is damaged."""

    def __init__(self, defect: Defect) -> None:
        super().__init__(defect.value)
        self.defect = defect


@dataclass(frozen=True, slots=True)
class ReceivedHeader:
    """A parsed header without pixel data, and the identity in it."""

    dataset: Dataset
    identity: InstanceIdentity


def set_tolerant_reading() -> None:
    """Once per process: pydicom must not refuse odd values; what they mean is decided by the caller."""
    pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE


def read_received(content: BytesIO, transfer_syntax_uid: str) -> ReceivedHeader:
    """Parses a data set as it came over the wire and checks that it is whole.

    content: the encoded data set without file meta, in the negotiated transfer syntax. Allocates nothing of the size that the
    header claims. DefectiveDatasetError names the defect.
    """
    implicit = UID(transfer_syntax_uid) == ImplicitVRLittleEndian
    content.seek(0)
    try:
        dataset = read_dataset(content, is_implicit_VR=implicit, is_little_endian=True, stop_when=_at_pixel_data)
        identity = _identity(dataset)
        if BaseTag(min(dataset.keys())).group < _FIRST_DATA_GROUP:
            # PS3.5 7.1, PS3.7 6.3: commands and file meta are no part of a data set, and would be read as ours in a file
            raise DefectiveDatasetError(Defect.UNREADABLE)
        _check_depth(dataset, 0)
        if identity.sop_class_uid == KEY_OBJECT_SELECTION:
            _check_end(content, dataset)
        else:
            _check_pixel_data(content, dataset, implicit=implicit, encapsulated=UID(transfer_syntax_uid).is_compressed)
    except READ_ERRORS as error:
        raise DefectiveDatasetError(Defect.UNREADABLE) from error
    return ReceivedHeader(dataset, identity)


def _at_pixel_data(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return int(tag) == _PIXEL_DATA


def _is_past_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return int(tag) >> 16 != _META_GROUP


def _check_depth(dataset: Dataset, depth: int) -> None:
    """Deep nesting is refused here: later steps would meet it as a RecursionError."""
    if depth > _MAX_DEPTH:
        raise DefectiveDatasetError(Defect.UNREADABLE)
    for element in dataset._dict.values():  # noqa: SLF001  raw: walking the public way would decode every value
        items = getattr(element, "value", None) if getattr(element, "VR", None) == "SQ" else None
        if isinstance(items, bytes) or items is None:
            continue
        for item in items:
            _check_depth(item, depth + 1)


def _identity(dataset: Dataset) -> InstanceIdentity:
    found = {keyword: text(dataset, keyword) for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")}
    if not all(found.values()):
        raise DefectiveDatasetError(Defect.UID_MISSING)
    if not all(is_legal(uid) for uid in found.values()):
        raise DefectiveDatasetError(Defect.UID_ILLEGAL)
    return InstanceIdentity(
        sop_class_uid=found["SOPClassUID"],
        sop_instance_uid=found["SOPInstanceUID"],
        series_instance_uid=found["SeriesInstanceUID"],
        study_instance_uid=found["StudyInstanceUID"],
    )


def _check_end(content: BinaryIO, dataset: Dataset) -> None:
    """A document has no pixel data (PS3.3 A.35.4): parsing ends with the data set, and no value is shorter than its length says."""
    values = (element for element in dataset._dict.values() if isinstance(element, RawDataElement))  # noqa: SLF001  as in _check_depth
    short = any(element.value is not None and len(element.value) < element.length != _UNDEFINED for element in values)
    if short or content.read(1):
        raise DefectiveDatasetError(Defect.UNREADABLE)


def _check_pixel_data(content: BinaryIO, dataset: Dataset, *, implicit: bool, encapsulated: bool) -> None:
    """pydicom accepts pixel data that ends too early; a receiver must not."""
    head = content.read(8 if implicit else 12)
    if len(head) < (8 if implicit else 12) or head[:4] != b"\xe0\x7f\x10\x00":
        raise DefectiveDatasetError(Defect.PIXEL_DATA_MISSING)
    (length,) = struct.unpack("<L", head[-4:])
    if length == _UNDEFINED:
        if not encapsulated:
            raise DefectiveDatasetError(Defect.PIXEL_DESCRIPTION)
        _check_fragments(content)
        return
    if encapsulated:
        raise DefectiveDatasetError(Defect.PIXEL_DESCRIPTION)
    start = content.tell()
    present = content.seek(0, 2) - start
    if present < length or length < _native_length(dataset):
        raise DefectiveDatasetError(Defect.PIXEL_DATA_TRUNCATED)


def _check_fragments(content: BinaryIO) -> None:
    """PS3.5 A.4: items up to the sequence delimiter, each whole."""
    end = content.seek(0, 2) if (here := content.tell()) >= 0 else 0
    content.seek(here)
    while True:
        head = content.read(_ITEM_HEAD)
        if len(head) < _ITEM_HEAD:
            raise DefectiveDatasetError(Defect.PIXEL_DATA_TRUNCATED)
        if head[:4] == _SEQUENCE_DELIMITER:
            return
        (length,) = struct.unpack("<L", head[4:])
        if head[:4] != _ITEM or length == _UNDEFINED or content.tell() + length > end:
            raise DefectiveDatasetError(Defect.PIXEL_DATA_TRUNCATED)
        content.seek(length, 1)


def _native_length(dataset: Dataset) -> int:
    """Bytes that the header claims for uncompressed pixel data (PS3.5 8.1.1)."""
    try:
        rows, columns, bits = int(dataset["Rows"].value), int(dataset["Columns"].value), int(dataset["BitsAllocated"].value)
        samples = int(dataset.get("SamplesPerPixel") or 1)
        frames = int(dataset.get("NumberOfFrames") or 1)
    except READ_ERRORS as error:
        raise DefectiveDatasetError(Defect.PIXEL_DESCRIPTION) from error
    if min(rows, columns, bits, samples, frames) < 1:
        raise DefectiveDatasetError(Defect.PIXEL_DESCRIPTION)
    if text(dataset, "PhotometricInterpretation") == "YBR_FULL_422":
        samples = 2
    return (rows * columns * samples * frames * bits + 7) // 8


def file_head(identity: InstanceIdentity, transfer_syntax_uid: str) -> bytes:
    """Preamble of zeros, `DICM` and file meta information for a data set (PS3.10 7.1); the peer's own preamble is never kept.

    Encoded here, not by pydicom: it is done for every instance, and six elements of known form are most of the time elsewhere.
    """
    elements = b"".join(
        (
            _VERSION_ELEMENT,
            _short_element(0x0002, b"UI", identity.sop_class_uid),
            _short_element(0x0003, b"UI", identity.sop_instance_uid),
            _short_element(0x0010, b"UI", transfer_syntax_uid),
            _IMPLEMENTATION_ELEMENTS,
        )
    )
    return _PREAMBLE + struct.pack("<HH2sHL", _META_GROUP, 0x0000, b"UL", 4, len(elements)) + elements


def _short_element(number: int, vr: bytes, value: str) -> bytes:
    """Explicit VR little endian, even length: UIDs are padded with NUL, text with a space (PS3.5 6.2)."""
    encoded = value.encode("ascii")
    if len(encoded) % 2:
        encoded += b"\x00" if vr == b"UI" else b" "
    return struct.pack("<HH2sH", _META_GROUP, number, vr, len(encoded)) + encoded


_FIRST_DATA_GROUP: Final = 0x0004
_PREAMBLE: Final = b"\x00" * 128 + b"DICM"
_VERSION_ELEMENT: Final = struct.pack("<HH2s2xL", _META_GROUP, 0x0001, b"OB", 2) + b"\x00\x01"
_IMPLEMENTATION_ELEMENTS: Final = _short_element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID) + _short_element(
    0x0013, b"SH", IMPLEMENTATION_VERSION_NAME
)


def read_header(path: Path) -> Dataset:
    """The header of a file of our spool, without pixel data. UnreadableInstanceError when it is no DICOM file."""
    try:
        return dcmread(path, stop_before_pixels=True)
    except READ_ERRORS as error:
        raise UnreadableInstanceError(type(error).__name__) from error


def split_file(path: Path, *, max_bytes: int) -> tuple[str, BytesIO]:
    """A DICOM file from a folder as (transfer syntax UID, encoded data set), as a peer would send it.

    UnreadableInstanceError for a file without preamble and file meta information, or one larger than max_bytes.
    """
    try:
        if path.stat().st_size > max_bytes:
            raise UnreadableInstanceError("too large")
        with path.open("rb") as file:
            if file.read(_BEFORE_META)[-4:] != b"DICM":
                raise UnreadableInstanceError("no DICOM preamble")
            return _past_preamble(file)
    except READ_ERRORS as error:
        raise UnreadableInstanceError(type(error).__name__) from error


def split_result(content: bytes) -> tuple[str, BytesIO]:
    """One of our own files as (transfer syntax UID, encoded data set): what goes out is what was kept, byte for byte."""
    file = BytesIO(content)
    file.seek(_BEFORE_META)
    return _past_preamble(file)


def _past_preamble(file: BinaryIO) -> tuple[str, BytesIO]:
    # by group, not by its length element: files without that element exist
    meta = read_dataset(file, is_implicit_VR=False, is_little_endian=True, stop_when=_is_past_meta)
    return text(meta, "TransferSyntaxUID"), BytesIO(file.read())
