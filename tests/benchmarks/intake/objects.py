"""Digital radiographs to send: noise of a given size, each with UIDs of its own."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from gateway.dicom.uids import ACCEPTED_SOP_CLASSES
from gateway.domain.identifiers import new_id

_DX = "1.2.840.10008.5.1.4.1.1.1.1"


@dataclass(frozen=True, eq=False)
class Load:
    """What one association sends: so many objects of rows x rows 16-bit pixels."""

    name: str
    rows: int
    per_association: dict[int, int]
    """Objects per association, by number of associations."""

    @property
    def megabytes(self) -> float:
        """Of pixel data in one object, 1 MB = 10^6 bytes."""
        return 2 * self.rows**2 / 1e6


LARGE = Load("10 MB", 2240, {1: 16, 4: 6, 16: 3})
SMALL = Load("0.5 MB", 500, {1: 20, 4: 20, 16: 20})


def write_objects(folder: Path, load: Load, associations: int) -> list[list[Path]]:
    """Files by association. Pixels are noise, cut from one block: making them shall not take longer than sending them."""
    noise = os.urandom(2 * load.rows**2 + 4096)
    assert _DX in ACCEPTED_SOP_CLASSES
    return [
        [_write(folder / f"{number}-{count}.dcm", load.rows, noise) for count in range(load.per_association[associations])]
        for number in range(associations)
    ]


def _write(path: Path, rows: int, noise: bytes) -> Path:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = _DX, _uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = _uid(), _uid()
    dataset.StudyDate, dataset.Modality, dataset.Manufacturer = "20260101", "DX", "BENCH"
    dataset.PatientID, dataset.PatientName, dataset.AccessionNumber = "BENCH", "BENCH", "BENCH"
    dataset.BodyPartExamined, dataset.ViewPosition, dataset.ImageLaterality = "KNEE", "AP", "L"
    dataset.Rows = dataset.Columns = rows
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 16, 12, 11, 0, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    start = random.randrange(2048) * 2
    dataset.PixelData = noise[start : start + 2 * rows**2]
    dataset.save_as(path, enforce_file_format=True)
    return path


def _uid() -> str:
    return f"2.25.{int(new_id(), 16)}"
