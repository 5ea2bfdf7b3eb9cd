"""The attributes that say how stored pixels are to be understood, read once and checked (PS3.3 C.7.6.3, C.8.11.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from strnet_core.errors import ColourError, ForProcessingError, MissingAttributeError, UnsupportedEncodingError

DX_FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.1.1"
_GREY = ("MONOCHROME1", "MONOCHROME2")
_ALLOCATED = (8, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelHeader:
    """How the stored pixels lie in memory and which way is up."""

    rows: int
    columns: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    monochrome1: bool
    inverse_shape: bool
    """PresentationLUTShape INVERSE (PS3.3 C.11.6)."""

    @property
    def inverted(self) -> bool:
        """Whether low values are bright. DX pairs MONOCHROME1 with INVERSE (PS3.3 C.8.11.3.1.2): both say the same one thing."""
        return self.monochrome1 or self.inverse_shape

    @property
    def shift(self) -> int:
        """Unused low bits below the stored ones; 0 in any image made after 2004 (PS3.5 8.1.1)."""
        return self.high_bit - (self.bits_stored - 1)


def read_pixel_header(dataset: Dataset) -> PixelHeader:
    """Raises MissingAttributeError, ColourError or UnsupportedEncodingError."""
    samples = whole_number(dataset, "SamplesPerPixel", 1)
    photometric = text(dataset, "PhotometricInterpretation")
    if samples != 1 or photometric not in _GREY:
        raise ColourError(f"{samples} samples, {photometric or 'no photometric interpretation'}")
    stored = whole_number(dataset, "BitsStored")
    header = PixelHeader(
        rows=whole_number(dataset, "Rows"),
        columns=whole_number(dataset, "Columns"),
        frames=whole_number(dataset, "NumberOfFrames", 1),
        bits_allocated=whole_number(dataset, "BitsAllocated"),
        bits_stored=stored,
        high_bit=whole_number(dataset, "HighBit", stored - 1),
        signed=whole_number(dataset, "PixelRepresentation", 0) == 1,
        monochrome1=photometric == "MONOCHROME1",
        inverse_shape=text(dataset, "PresentationLUTShape") == "INVERSE",
    )
    _check_bits(header)
    return header


def refuse_for_processing(dataset: Dataset) -> None:
    """Raises ForProcessingError for the SOP class (PS3.4 B.5) or the intent (PS3.3 C.8.11.1) that means raw detector data."""
    if text(dataset, "SOPClassUID") == DX_FOR_PROCESSING or text(dataset, "PresentationIntentType") == "FOR PROCESSING":
        raise ForProcessingError


def whole_number(dataset: Dataset, keyword: str, default: int | None = None) -> int:
    """An integer attribute; absent or empty gives the default. Raises MissingAttributeError."""
    value = dataset.get(keyword)
    if value is None or value == "":
        if default is None:
            raise MissingAttributeError(keyword)
        return default
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise MissingAttributeError(keyword) from error


def text(dataset: Dataset, keyword: str) -> str:
    """An upper-case text attribute, its first value, without spaces around; absent gives an empty text."""
    value = dataset.get(keyword)
    if isinstance(value, MultiValue | list):
        value = value[0] if len(value) else None
    return "" if value is None else str(value).strip().upper()


def number(dataset: Dataset, keyword: str) -> float | None:
    """A number, of several values the first; absent, empty, malformed or not finite gives None."""
    value = dataset.get(keyword)
    if isinstance(value, MultiValue | list):
        value = value[0] if len(value) else None
    if value is None:
        return None
    try:
        result = float(value)
    except (TypeError, ValueError):
        return None
    return result if math.isfinite(result) else None


def _check_bits(header: PixelHeader) -> None:
    fits = (
        header.bits_allocated in _ALLOCATED
        and 1 <= header.bits_stored <= header.bits_allocated
        and header.bits_stored - 1 <= header.high_bit < header.bits_allocated
    )
    if not fits:
        detail = f"allocated {header.bits_allocated}, stored {header.bits_stored}, high bit {header.high_bit}"
        raise UnsupportedEncodingError(detail)
