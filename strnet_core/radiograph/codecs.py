"""One decoder per compressed family, called without a chain of fall-backs. Never pylibjpeg-libjpeg: GPL, and wrong pixels for some
lossless files.

GDCM decodes JPEG and RLE, CharLS (pyjpegls) JPEG-LS, OpenJPEG (pylibjpeg-openjpeg) JPEG 2000. pydicom refuses JPEG Extended with
12 bits for every plugin although GDCM decodes it, so GDCM is called here directly.

What damage is noticed (measured on a 256 x 256 image: one byte changed, or up to 59 bytes taken out of the middle, 30 times each): JPEG-LS
all; bytes taken out of RLE, JPEG 2000 and lossless JPEG all; of lossy JPEG about half to five sixths. One changed byte: lossless JPEG
about every third to half, lossy JPEG about every fourth to half, RLE and JPEG 2000 none, as little as native pixels: these formats
carry no check sum, so a byte that was changed before it came here cannot be told from the image.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom.uid import UID

from strnet_core.errors import DecodeError, TruncatedPixelsError
from strnet_core.radiograph.codestream import StreamFacts
from strnet_core.radiograph.complaints import captured_complaints
from strnet_core.radiograph.header import PixelHeader
from strnet_core.radiograph.histogram import Words

_CORRUPT = (b"Corrupt JPEG data", b"Premature end of JPEG", b"Inconsistent progression", b"Unsupported marker", b"Invalid SOS")
"""libjpeg's warnings (jerror.h, JWRN_*), after which it fills the rest with guesses."""
_HARMLESS = (b"Unsupported JPEG data precision",)
"""GDCM tries its 8-bit, 12-bit and 16-bit libjpeg in turn."""


def decode_with_gdcm(frame: bytes, syntax: UID, header: PixelHeader) -> Words:
    """(rows, cols) words of a JPEG or RLE frame. Raises DecodeError, also where libjpeg goes on with a corrupt stream."""
    import gdcm

    # GDCM says nothing useful on its own; what went wrong is in the return values
    gdcm.Trace.WarningOff()
    gdcm.Trace.ErrorOff()
    image = _gdcm_image(gdcm, frame, syntax, header)
    expected = header.rows * header.columns * header.bits_allocated // 8
    if image.GetBufferLength() != expected:
        raise DecodeError("compressed in another layout than declared")
    printed: list[bytes] = []
    with captured_complaints(printed, (*_CORRUPT, *_HARMLESS)):
        pixels = image.GetBuffer()
    if any(text in line for line in printed for text in _CORRUPT):
        raise DecodeError("the decoder calls the compressed stream corrupt")
    # GDCM hands bytes out as text
    buffer: bytes = pixels.encode("utf-8", "surrogateescape")
    return _shaped(buffer, header.bits_allocated, header)


def decode_with_charls(frame: bytes, facts: StreamFacts, header: PixelHeader) -> Words:
    """(rows, cols) words of a JPEG-LS frame, in as many bytes as its precision needs."""
    import jpeg_ls

    buffer, _ = jpeg_ls.decode_pixel_data(frame)
    return _shaped(buffer, facts.precision, header)


def decode_with_openjpeg(frame: bytes, facts: StreamFacts, header: PixelHeader) -> Words:
    """(rows, cols) words of a JPEG 2000 frame, in as many bytes as its precision needs."""
    import openjpeg

    # version 2 gives bytes, version 1 an array
    buffer: bytearray = openjpeg.decode_pixel_data(frame, version=2)
    return _shaped(buffer, facts.precision, header)


def _shaped(buffer: bytes | bytearray, bits: int, header: PixelHeader) -> Words:
    kind: np.dtype[np.unsignedinteger] = np.dtype(np.uint8 if bits <= 8 else np.uint16)  # noqa: PLR2004
    if len(buffer) != header.rows * header.columns * kind.itemsize:
        raise TruncatedPixelsError("fewer pixels came out than declared")
    return np.frombuffer(buffer, kind).reshape(header.rows, header.columns)


def _gdcm_image(gdcm: Any, frame: bytes, syntax: UID, header: PixelHeader) -> Any:
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((header.columns, header.rows, 1))
    image.SetDataElement(element)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
    # whole words: told of fewer bits GDCM drops the rest of a stream that holds more, and nobody would know
    layout = gdcm.PixelFormat(1, header.bits_allocated, header.bits_allocated, header.bits_allocated - 1, 0)
    image.SetPixelFormat(layout)
    return image
