"""Writes small DICOM files for tests; every attribute can be overridden, None removes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

DX_FOR_PRESENTATION = UID("1.2.840.10008.5.1.4.1.1.1.1")


def ramp(rows: int = 48, columns: int = 64, top: int = 4095) -> np.ndarray:
    """(rows, columns) int32 that holds many values between 0 and top, smooth enough for lossy codecs."""
    y, x = np.mgrid[0:rows, 0:columns]
    field = np.sin(x / 9.0) * np.cos(y / 7.0) + x / columns
    field = (field - field.min()) / (field.max() - field.min())
    return np.rint(field * top).astype(np.int32)


def dataset_of(stored: np.ndarray, **attributes: object) -> Dataset:
    bits = int(attributes.get("BitsAllocated", 16))
    signed = attributes.get("PixelRepresentation", 0) == 1
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = DX_FOR_PRESENTATION
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.SOPClassUID = DX_FOR_PRESENTATION
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID
    dataset.PatientName = "MARKED^NAME"
    dataset.Modality = "DX"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = bits
    dataset.BitsStored = 12 if bits == 16 else 8
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(signed)
    kind = {(8, False): "u1", (8, True): "i1", (16, False): "<u2", (16, True): "<i2", (32, False): "<u4"}[(bits, signed)]
    dataset.PixelData = np.ascontiguousarray(stored, dtype=kind).tobytes()
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    for keyword, value in attributes.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    if "BitsStored" in attributes and "HighBit" not in attributes:
        dataset.HighBit = dataset.BitsStored - 1
    return dataset


def write(path: Path, stored: np.ndarray, **attributes: object) -> Path:
    return save(path, dataset_of(stored, **attributes))


def save(path: Path, dataset: Dataset) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path
