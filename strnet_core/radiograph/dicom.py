"""A DICOM file to a radiograph. Fails closed: what cannot be understood without guessing is refused with a code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import cv2
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError

from strnet_core.bundle.settings import PreprocessingSettings
from strnet_core.errors import DecodeError, EmptyImageError, UnreadableFileError
from strnet_core.radiograph.coverage import coverage
from strnet_core.radiograph.decoding import DECODER_ERRORS, Decoded, decode_stored
from strnet_core.radiograph.grey_scale import grey_scale
from strnet_core.radiograph.header import PixelHeader, read_pixel_header, refuse_for_processing, text
from strnet_core.radiograph.histogram import histogram
from strnet_core.radiograph.limits import ReadLimits
from strnet_core.radiograph.opencv import memory_errors
from strnet_core.radiograph.part10 import Part10, open_part10
from strnet_core.radiograph.stored import digest_of_stored
from strnet_core.radiograph.values import Radiograph

_DEFAULT_LIMITS = ReadLimits()
_DEFAULT_SETTINGS = PreprocessingSettings()
_READ_ERRORS = (*DECODER_ERRORS, InvalidDicomError, BytesLengthException, cv2.error)


def read_dicom(path: Path, limits: ReadLimits = _DEFAULT_LIMITS, settings: PreprocessingSettings = _DEFAULT_SETTINGS) -> Radiograph:
    """Presentation values of a single-frame grey radiograph in a part 10 file.

    Of the settings, `voi_policy`, the two percentiles with the policy `percentile`, and `accept_for_processing` count. Header and
    limits are checked before pixels are read. Overlays, icons and everything behind Pixel Data are not looked at.
    Raises DecodeError subclasses and nothing else; their text quotes no patient data.
    """
    try:
        with _opened(path) as part:
            header = _check(part.dataset, limits, settings)
            return _assemble(part, decode_stored(part, header), header, settings)
    except DecodeError:
        raise
    except _READ_ERRORS as error:
        # pydicom reads values lazily, so a malformed one can surface anywhere
        raise DecodeError(type(error).__name__) from error


@contextmanager
def _opened(path: Path) -> Iterator[Part10]:
    with ExitStack() as stack:
        try:
            part = stack.enter_context(open_part10(path))
        except DecodeError:
            raise
        except _READ_ERRORS as error:
            raise UnreadableFileError(type(error).__name__) from error
        yield part


def _check(dataset: Dataset, limits: ReadLimits, settings: PreprocessingSettings) -> PixelHeader:
    header = read_pixel_header(dataset)
    limits.check(header.rows, header.columns, header.frames)
    if not settings.accept_for_processing:
        refuse_for_processing(dataset)
    return header


@memory_errors()
def _assemble(part: Part10, decoded: Decoded, header: PixelHeader, settings: PreprocessingSettings) -> Radiograph:
    stored = decoded.stored
    covered = coverage(stored.numbers, part.dataset, header)
    counts = histogram(stored.words, None if covered.valid.all() else covered.valid)
    if not counts.any():
        raise EmptyImageError("padding and shutter leave nothing")
    scale = grey_scale(stored.meanings, counts, part.dataset, settings, inverted=header.inverted)
    return Radiograph(
        words=stored.words,
        table=scale.table,
        valid=covered.valid,
        pixel_digest=digest_of_stored(stored.numbers),
        notes=(*_header_notes(part.dataset, header, lossy=_is_lossy(part, decoded)), *covered.notes, *scale.notes),
    )


def _is_lossy(part: Part10, decoded: Decoded) -> bool:
    """Lossy Image Compression (0028,2110) stays 01 for ever, also after decompression; a stream may know it without the tag."""
    return decoded.lossy or text(part.dataset, "LossyImageCompression") == "01"


def _header_notes(dataset: Dataset, header: PixelHeader, *, lossy: bool) -> tuple[str, ...]:
    facts = {
        "lossy": lossy,
        "monochrome1": header.monochrome1,
        "inverse": header.inverse_shape,
        "no_intent": not text(dataset, "PresentationIntentType"),
        "shifted_bits": header.shift > 0,
    }
    return tuple(code for code, holds in facts.items() if holds)
