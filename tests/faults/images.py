"""Small radiographs with bytes that are known exactly, so that what is kept can be compared with what was sent."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

DX, CR = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.5.1.4.1.1.1"
EXPLICIT, IMPLICIT, JPEG_BASELINE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.50"
MARK = "CANARYPATIENT"
"""Stands in every patient's attributes, and may stand in no log."""
_ROOT = "1.2.826.0.1.3680043.10.511.77"


@dataclass(frozen=True, slots=True)
class Image:
    """An encoded data set and what a C-STORE of it says."""

    uid: str
    content: bytes
    sop_class: str = DX
    syntax: str = EXPLICIT

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def write(self, folder: Path) -> Path:
        """As a DICOM file that storescu sends without changing a byte of the data set."""
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(self.sop_class), UID(self.uid)
        meta.TransferSyntaxUID, meta.ImplementationClassUID = UID(self.syntax), UID(f"{_ROOT}.1")
        head = BytesIO()
        write_file_meta_info(head, meta)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.uid}.dcm"
        path.write_bytes(bytes(128) + b"DICM" + head.getvalue() + self.content)
        return path


def data_set(number: int, *, rows: int = 64, columns: int = 64, **changes: object) -> Dataset:
    """A whole DX data set. The number gives its UID; the pixels differ with it."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = DX, f"{_ROOT}.2.{number}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{_ROOT}.3.1", f"{_ROOT}.4.1"
    dataset.Modality, dataset.PatientName, dataset.PatientID, dataset.AccessionNumber = "DX", MARK, MARK, MARK
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelData = hashlib.shake_128(str(number).encode()).digest(4096).ljust(rows * columns * 2, b"\x01")[: rows * columns * 2]
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    return dataset


def image(number: int, **changes: object) -> Image:
    return encode(data_set(number, **changes))  # type: ignore[arg-type]


def encode(dataset: Dataset, *, implicit: bool = False) -> Image:
    """A data set, with or without file meta information, as bytes in a little endian syntax without compression."""
    buffer = BytesIO()
    bare = Dataset(dataset) if isinstance(dataset, FileDataset) else dataset
    bare.save_as(buffer, implicit_vr=implicit, little_endian=True)
    return Image(str(dataset.SOPInstanceUID), buffer.getvalue(), str(dataset.SOPClassUID), IMPLICIT if implicit else EXPLICIT)
