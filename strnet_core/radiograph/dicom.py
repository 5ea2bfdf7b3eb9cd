"""A DICOM file to a radiograph. Fails closed: what cannot be understood without guessing is refused with a code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import UID

from strnet_core.bundle.settings import PreprocessingSettings
from strnet_core.errors import DecodeError, EmptyImageError, UnreadableFileError, UnsupportedTransferSyntaxError
from strnet_core.radiograph.coverage import Coverage, coverage
from strnet_core.radiograph.decoding import DECODER_ERRORS, LOSSY_BY_NATURE, decode_stored
from strnet_core.radiograph.grey_scale import GreyScale, grey_scale
from strnet_core.radiograph.header import PixelHeader, read_pixel_header, refuse_for_processing, text
from strnet_core.radiograph.limits import ReadLimits
from strnet_core.radiograph.values import Float32Image, Radiograph, digest_of_stored

_DEFAULT_LIMITS = ReadLimits()
_DEFAULT_SETTINGS = PreprocessingSettings()
_READ_ERRORS = (*DECODER_ERRORS, InvalidDicomError, BytesLengthException)


def read_dicom(path: Path, limits: ReadLimits = _DEFAULT_LIMITS, settings: PreprocessingSettings = _DEFAULT_SETTINGS) -> Radiograph:
    """Presentation values of a single-frame grey radiograph in a part 10 file.

    Of the settings, `voi_policy` and `accept_for_processing` count. Header and limits are checked before pixels are read.
    Raises DecodeError subclasses and nothing else; their text quotes no patient data.
    """
    try:
        _check(_read_file(path, header_only=True), limits, settings)
        dataset = _read_file(path, header_only=False)
        header = _check(dataset, limits, settings)
        return _assemble(dataset, header, settings)
    except DecodeError:
        raise
    except _READ_ERRORS as error:
        # pydicom reads values lazily, so a malformed one can surface anywhere
        raise DecodeError(type(error).__name__) from error


def _read_file(path: Path, *, header_only: bool) -> Dataset:
    try:
        return dcmread(path, stop_before_pixels=header_only)
    except _READ_ERRORS as error:
        raise UnreadableFileError(type(error).__name__) from error


def _check(dataset: Dataset, limits: ReadLimits, settings: PreprocessingSettings) -> PixelHeader:
    header = read_pixel_header(dataset)
    limits.check(header.rows, header.columns, header.frames)
    if not settings.accept_for_processing:
        refuse_for_processing(dataset)
    return header


def _assemble(dataset: Dataset, header: PixelHeader, settings: PreprocessingSettings) -> Radiograph:
    syntax = _transfer_syntax(dataset)
    stored = decode_stored(dataset, syntax, header)
    covered = coverage(stored, dataset, header)
    if not covered.valid.any():
        raise EmptyImageError("padding and shutter leave nothing")
    presentation, scale = _present(stored, covered, dataset, header, settings)
    return Radiograph(
        presentation=presentation,
        valid=covered.valid,
        pixel_digest=digest_of_stored(stored),
        notes=(*_header_notes(dataset, syntax, header), *covered.notes, *scale.notes),
    )


def _present(
    stored: npt.NDArray[np.int32], covered: Coverage, dataset: Dataset, header: PixelHeader, settings: PreprocessingSettings
) -> tuple[Float32Image, GreyScale]:
    low, high = int(stored.min()), int(stored.max())
    index = stored - low if low else stored
    everything = bool(covered.valid.all())
    counted = index.ravel() if everything else index[covered.valid]
    used = np.bincount(counted, minlength=high - low + 1) > 0
    values = np.arange(low, high + 1, dtype=np.float64)
    scale = grey_scale(values, used, dataset, settings.voi_policy, inverted=header.inverted)
    presentation: Float32Image = scale.table.astype(np.float32)[index]
    if not everything:
        presentation[~covered.valid] = 0.0
    return presentation, scale


def _header_notes(dataset: Dataset, syntax: UID, header: PixelHeader) -> tuple[str, ...]:
    lossy = syntax in LOSSY_BY_NATURE or text(dataset, "LossyImageCompression") == "01"
    facts = {
        "lossy": lossy,
        "monochrome1": header.monochrome1,
        "inverse": header.inverse_shape,
        "no_intent": not text(dataset, "PresentationIntentType"),
        "shifted_bits": header.shift > 0,
    }
    return tuple(code for code, holds in facts.items() if holds)


def _transfer_syntax(dataset: Dataset) -> UID:
    meta = getattr(dataset, "file_meta", None)
    syntax = meta.get("TransferSyntaxUID") if meta is not None else None
    if not syntax:
        raise UnsupportedTransferSyntaxError("none named")
    return UID(str(syntax))
