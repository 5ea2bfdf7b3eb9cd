"""The radiographs that `strnet bench` decodes: one synthetic knee, in each transfer syntax that can be written here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless, generate_uid

from strnet_core.phantom import PhantomParameters, draw

UNCOMPRESSED = "uncompressed"
_DX_FOR_PRESENTATION = UID("1.2.840.10008.5.1.4.1.1.1.1")
_COMPRESSED = {"jpeg_ls": JPEGLSLossless, "jpeg_2000": JPEG2000Lossless, "rle": RLELossless}


def write_files(folder: Path, rows: int, columns: int) -> dict[str, Path]:
    """A DX file (12 of 16 bits) per transfer syntax, by a short name; those whose encoder is missing are left out."""
    stored = draw(PhantomParameters(side="R", density=0.5, rows=rows, columns=columns), 7)
    files = {UNCOMPRESSED: folder / f"{UNCOMPRESSED}.dcm"}
    _dataset(stored).save_as(files[UNCOMPRESSED], enforce_file_format=True)
    for name, syntax in _COMPRESSED.items():
        dataset = _dataset(stored)
        try:
            dataset.compress(syntax, generate_instance_uid=False)
        except (RuntimeError, NotImplementedError, ValueError):
            continue
        files[name] = folder / f"{name}.dcm"
        dataset.save_as(files[name], enforce_file_format=True)
    return files


def _dataset(stored: np.ndarray[tuple[int, int], np.dtype[np.uint16]]) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = _DX_FOR_PRESENTATION
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.Modality = "DX"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = np.ascontiguousarray(stored, np.dtype("<u2")).tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset
