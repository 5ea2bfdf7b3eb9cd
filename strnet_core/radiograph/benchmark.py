"""One DX image in every transfer syntax that can be written here, to time reading with: no DICOM network, no DCMTK.

JPEG Baseline and Extended cannot hold 14 bits and are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    JPEG2000,
    UID,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    generate_uid,
)

from strnet_core.errors import UnsupportedTransferSyntaxError

_LOSSY_OPTIONS: Mapping[UID, Mapping[str, Any]] = {JPEGLSNearLossless: {"jls_error": 2}, JPEG2000: {"j2k_cr": [10]}}
_BY_PYDICOM = (RLELossless, JPEGLSLossless, JPEGLSNearLossless, JPEG2000Lossless, JPEG2000)
_BY_GDCM = (JPEGLossless, JPEGLosslessSV1)
BENCHMARK_SYNTAXES: tuple[UID, ...] = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, *_BY_GDCM, *_BY_PYDICOM)


def write_benchmark_dx(path: Path, stored: npt.NDArray[np.uint16], syntax: UID = ExplicitVRLittleEndian, bits_stored: int = 14) -> Path:
    """A DX image For Presentation of (rows, cols) uint16 stored values below 2**bits_stored, in one of BENCHMARK_SYNTAXES.

    It carries a window over the whole range and no patient. Raises UnsupportedTransferSyntaxError.
    """
    if syntax not in BENCHMARK_SYNTAXES:
        raise UnsupportedTransferSyntaxError(str(syntax))
    dataset = _native(stored, syntax if syntax == ImplicitVRLittleEndian else ExplicitVRLittleEndian, bits_stored)
    if syntax in _BY_PYDICOM:
        dataset.compress(syntax, generate_instance_uid=False, **_LOSSY_OPTIONS.get(syntax, {}))
    dataset.save_as(path, enforce_file_format=True)
    if syntax in _BY_GDCM:
        _compress_with_gdcm(path, syntax)
    return path


def _native(stored: npt.NDArray[np.uint16], syntax: UID, bits_stored: int) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.Modality, dataset.PresentationIntentType, dataset.PresentationLUTShape = "DX", "FOR PRESENTATION", "IDENTITY"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, bits_stored, bits_stored - 1
    dataset.WindowCenter, dataset.WindowWidth = 1 << (bits_stored - 1), 1 << bits_stored
    dataset.PixelData = np.ascontiguousarray(stored, dtype="<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def _compress_with_gdcm(path: Path, syntax: UID) -> None:
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
    writer = gdcm.ImageWriter()
    packed = path.with_suffix(".packed")  # GDCM reads the pixels while it writes them
    writer.SetFileName(str(packed))
    if reader.Read():
        change.SetInput(reader.GetImage())
        if change.Change():
            writer.SetFile(reader.GetFile())
            writer.SetImage(change.GetOutput())
            if writer.Write():
                packed.replace(path)
                return
    raise UnsupportedTransferSyntaxError(f"GDCM cannot write {syntax}")
